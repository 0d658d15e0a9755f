#include "proto/error.hpp"

#include <array>
#include <cstddef>

namespace procd::proto {
namespace {

struct Entry {
    ErrorKind kind;
    std::string_view text;
    int code;
};

constexpr std::array k_kinds{
    Entry{ErrorKind::parse_error, "parse_error", -32700},
    Entry{ErrorKind::invalid_request, "invalid_request", -32600},
    Entry{ErrorKind::too_large, "too_large", -32600},
    Entry{ErrorKind::no_such_method, "no_such_method", -32601},
    Entry{ErrorKind::bad_request, "bad_request", -32602},
    Entry{ErrorKind::no_such_process, "no_such_process", 1},
    Entry{ErrorKind::ambiguous, "ambiguous", 1},
    Entry{ErrorKind::name_in_use, "name_in_use", 1},
    Entry{ErrorKind::already_started, "already_started", 1},
    Entry{ErrorKind::not_started, "not_started", 1},
    Entry{ErrorKind::still_running, "still_running", 1},
    Entry{ErrorKind::daemonic_no_children, "daemonic_no_children", 1},
    Entry{ErrorKind::owner_gone, "owner_gone", 1},
    Entry{ErrorKind::exec_failed, "exec_failed", 1},
    Entry{ErrorKind::not_permitted, "not_permitted", 1},
    Entry{ErrorKind::deadlock, "deadlock", 1},
    Entry{ErrorKind::no_log, "no_log", 1},
    Entry{ErrorKind::limit, "limit", 1},
    Entry{ErrorKind::shutting_down, "shutting_down", 1},
};

constexpr bool in_order() {
    for (std::size_t i = 0; i < k_kinds.size(); ++i)
        if (static_cast<std::size_t>(k_kinds[i].kind) != i) return false;
    return k_kinds.size() == static_cast<std::size_t>(ErrorKind::shutting_down) + 1;
}
static_assert(in_order(), "the table follows the enum");

}  // namespace

std::string_view to_text(ErrorKind kind) {
    return k_kinds[static_cast<std::size_t>(kind)].text;
}

bool from_text(std::string_view text, ErrorKind& kind) {
    for (const Entry& entry : k_kinds) {
        if (entry.text != text) continue;
        kind = entry.kind;
        return true;
    }
    return false;
}

int code_of(ErrorKind kind) {
    return k_kinds[static_cast<std::size_t>(kind)].code;
}

OrderedJson to_json(const WireError& error) {
    OrderedJson data = OrderedJson::object();
    data["kind"] = to_text(error.kind);
    for (const auto& [key, value] : error.details.items()) data[key] = value;
    return OrderedJson{{"code", code_of(error.kind)}, {"message", error.message}, {"data", std::move(data)}};
}

}  // namespace procd::proto
