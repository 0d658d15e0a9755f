#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/core/launch_spec.hpp"
#include "daemon/core/owner.hpp"
#include "daemon/core/types.hpp"

// What the core decides and the loop carries out, in this order.
namespace procd::core {

// Start the child; answer with LaunchSucceeded or LaunchFailed.
struct Launch {
    ProcessId id;
    std::string name;
    UserId uid;
    OwnerKey owner;
    std::shared_ptr<const LaunchSpec> spec;
};
// End a child that has not exec'd yet. LaunchFailed follows some time.
struct AbandonLaunch {
    ProcessId id;
};
// One signal to the main, or to the whole tree (main first, then the rest in passes). resume: SIGCONT after
// it. sender: to those only whom this user could signal by kill(2); none: to all.
struct SendSignal {
    ProcessId id;
    int signal;
    bool tree;
    bool resume;
    std::optional<UserId> sender{};
};
struct KillTree {
    ProcessId id;
};
// Count the tree without its main and tell TreeCounted; while it is not empty, watch it and tell again.
struct CountTree {
    ProcessId id;
};
// The tree is gone: its group can be removed.
struct ReleaseTree {
    ProcessId id;
};
// Nobody can ask for the record any more: its logs go, too.
struct Forget {
    ProcessId id;
    std::string log, log_stderr;  // empty: it has none, or it stays
};
// Nothing that lives belongs to this pid any more: its end need not be noticed, until something does again.
// forget: the core does not know the owner any more either.
struct StopWatching {
    OwnerKey owner;
    bool forget = false;
};
// Everything has ended: end what is stray, and leave.
struct Leave {};
// A line for procd's own log.
struct Report {
    std::string text;
};

using Action = std::variant<Launch, AbandonLaunch, SendSignal, KillTree, CountTree, ReleaseTree, Forget,
                            StopWatching, Leave, Report>;
using Actions = std::vector<Action>;

}  // namespace procd::core
