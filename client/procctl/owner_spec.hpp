#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace procctl {

constexpr const char* k_owner_forms = "caller, pid:N, session[:ID], connection, procd, process or process:ID";

// What --owner and PROCD_OWNER may say. Pure; what it means is found out when it is used.
struct OwnerSpec {
    enum class Kind {
        caller,      // the program that called procctl
        pid,         // `number`
        session,     // `session`; empty: PROCD_SESSION
        connection,  // this very procctl
        procd,
        enclosing,  // the managed process that procctl runs in
        process,    // `number`
    };
    Kind kind = Kind::procd;
    std::int64_t number = 0;
    std::string session;

    bool operator==(const OwnerSpec&) const = default;
};

std::optional<OwnerSpec> parse_owner(std::string_view text);

// All digits: an id, never a name.
bool is_number(std::string_view text);
// A number that is all of the text, greater than zero.
std::optional<std::int64_t> positive_number(std::string_view text);

}  // namespace procctl
