#pragma once

#include <optional>
#include <string>
#include <variant>

#include "daemon/core/owner.hpp"
#include "daemon/core/types.hpp"

// What happens in the world, as the loop tells it to the core.
namespace procd::core {

struct LaunchSucceeded {
    ProcessId id;
    std::int64_t pid;
    std::optional<std::string> log, log_stderr;
    std::uint64_t start_time = 0;
};
struct LaunchFailed {
    ProcessId id;
    LaunchFailure failure;
};
// The main process was reaped.
struct MainExited {
    ProcessId id;
    Exit exit;
};
struct TreeCounted {
    ProcessId id;
    std::size_t rest;
};
// A watched pid ended, or the peer of a connection did (the connection may live on).
struct OwnerEnded {
    OwnerKey owner;
};
// No byte will ever come or go there again.
struct ConnectionClosed {
    ConnectionId connection;
};
// procd is told to stop: SIGTERM, SIGINT, SIGHUP. A second one does not wait for non-daemons, a third one not
// for anybody's grace.
struct StopSignal {
    int signal;
};
// A deadline may have passed.
struct Tick {};

using Event = std::variant<LaunchSucceeded, LaunchFailed, MainExited, TreeCounted, OwnerEnded,
                           ConnectionClosed, StopSignal, Tick>;

}  // namespace procd::core
