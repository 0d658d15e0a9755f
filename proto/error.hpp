#pragma once

#include <string>
#include <string_view>

#include "proto/json.hpp"

namespace procd::proto {

// Why a request was refused. The text of the kind (`data.kind`) is the stable word that clients switch on.
enum class ErrorKind {
    parse_error,
    invalid_request,
    too_large,
    no_such_method,
    bad_request,
    no_such_process,
    ambiguous,
    name_in_use,
    already_started,
    not_started,
    still_running,
    daemonic_no_children,
    owner_gone,
    exec_failed,
    not_permitted,
    deadlock,
    no_log,
    limit,
    shutting_down,
};

std::string_view to_text(ErrorKind kind);
// The kind of that text; an unknown word (a newer server) is no kind.
bool from_text(std::string_view text, ErrorKind& kind);
// The JSON-RPC code: -32700, -32600, -32601, -32602, and 1 for everything that procd itself refuses.
int code_of(ErrorKind kind);

// The `error` member of a reply. `details` are the members of `data` beside `kind` (errno, stage, candidates,
// missing).
struct WireError {
    ErrorKind kind = ErrorKind::bad_request;
    std::string message;
    OrderedJson details = OrderedJson::object();
};

OrderedJson to_json(const WireError& error);

}  // namespace procd::proto
