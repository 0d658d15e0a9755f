#pragma once

#include <string>

#include "client/lib/result.hpp"
#include "client/procctl/exit_codes.hpp"
#include "proto/error.hpp"
#include "proto/json.hpp"

namespace procctl {

// Why a verb could not do its work, and the exit status for that.
struct Failure {
    int status = k_refused;
    std::string message;
    std::string kind;  // procd's data.kind, or "usage", "out_of_reach", "protocol", "timed_out"
    procd::proto::OrderedJson object;  // {code, message, data}: what --json prints

    bool is(procd::proto::ErrorKind wanted) const { return kind == procd::proto::to_text(wanted); }

    static Failure usage(std::string message);
    static Failure refused(procd::proto::ErrorKind kind, std::string message);
    // `socket_named`: whether somebody chose the socket, so that the command that starts procd has to name
    // it, too.
    static Failure from(const procd::client::Error& error, bool socket_named);
};

template <class T>
using Outcome = procd::client::Result<T, Failure>;

}  // namespace procctl
