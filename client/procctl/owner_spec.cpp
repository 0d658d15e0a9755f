#include "client/procctl/owner_spec.hpp"

#include <charconv>
#include <limits>

#include "proto/types.hpp"

namespace procctl {

bool is_number(std::string_view text) {
    return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::optional<std::int64_t> positive_number(std::string_view text) {
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end || number <= 0) return std::nullopt;
    return number;
}

std::optional<OwnerSpec> parse_owner(std::string_view text) {
    using Kind = OwnerSpec::Kind;
    if (!procd::proto::is_utf8(text)) return std::nullopt;
    const std::size_t colon = text.find(':');
    const std::string_view word = text.substr(0, colon);
    if (colon == std::string_view::npos) {
        if (word == "caller") return OwnerSpec{Kind::caller, 0, {}};
        if (word == "session") return OwnerSpec{Kind::session, 0, {}};
        if (word == "connection") return OwnerSpec{Kind::connection, 0, {}};
        if (word == "procd") return OwnerSpec{Kind::procd, 0, {}};
        if (word == "process") return OwnerSpec{Kind::enclosing, 0, {}};
        return std::nullopt;
    }
    const std::string_view value = text.substr(colon + 1);
    if (word == "session" && !value.empty()) return OwnerSpec{Kind::session, 0, std::string(value)};
    const auto number = positive_number(value);
    if (!number) return std::nullopt;
    if (word == "pid" && *number <= std::numeric_limits<std::int32_t>::max())
        return OwnerSpec{Kind::pid, *number, {}};
    if (word == "process") return OwnerSpec{Kind::process, *number, {}};
    return std::nullopt;
}

}  // namespace procctl
