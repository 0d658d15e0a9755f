#pragma once

#include <optional>
#include <string>

#include "daemon/state/journal_text.hpp"
#include "daemon/state/snapshot.hpp"

namespace procd {

// What the procd before this one left in its journal. None: there is no such file, or it cannot be trusted.
// Whatever is wrong with it is told in procd's log.
std::optional<state::Journal> former_journal(const std::string& path);

// What the program before this one in the same process passed (--resume-state).
struct Passed {
    int listener = -1, lock = -1;
    std::optional<state::Snapshot>
        snapshot;  // none: it cannot be read, and all else that was passed is closed
};
Passed take_passed(const std::string& text);

// --check-state: says on stdout whether this program could go on from there. The exit status.
int check_state(int fd);

}  // namespace procd
