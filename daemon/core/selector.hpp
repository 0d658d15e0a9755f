#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/core/owner.hpp"
#include "daemon/core/types.hpp"

namespace procd::core {

class Supervisor;

// Who asks, by kernel facts.
struct Caller {
    ConnectionId connection = 0;
    UserId uid = 0;
    bool sees_all = false;               // root
    std::optional<ProcessId> enclosing;  // the managed process it runs in
    std::vector<SessionId> sessions;     // that its connection holds, or that it runs in
};

// Which process: an id, or a name that is looked up first among the processes of the caller's own owners, and
// only if none of those has it among all that the caller sees; with a `scope` among that owner's alone. Of
// the matches the live ones count; if none lives, the newest.
struct Selector {
    std::optional<ProcessId> id;
    std::string name;
    std::optional<OwnerKey> scope;
};

// What a verb takes of several matches.
enum class Want {
    any,      // one process: the live one, else the newest
    initial,  // one process to start: the newest that is not started yet, else as any
    ended,    // close: all that have ended, else as any
};

bool visible(const Caller& caller, UserId uid);

Outcome<ProcessId> resolve(const Supervisor& supervisor, const Caller& caller, const Selector& selector,
                           Want want = Want::any);
// All selectors are resolved before anything is done: one unknown fails the whole. No id twice.
Outcome<std::vector<ProcessId>> resolve_all(const Supervisor& supervisor, const Caller& caller,
                                            const std::vector<Selector>& selectors, Want want = Want::any);

}  // namespace procd::core
