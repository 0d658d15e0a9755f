#pragma once

#include <set>
#include <vector>

#include "daemon/core/owner.hpp"
#include "daemon/core/process.hpp"
#include "daemon/core/types.hpp"

namespace procd::core {

// What a procd knows that the next one goes on with.
struct Saved {
    ProcessId next_id = 1;
    SessionId next_session = 1;
    std::vector<Process> processes;
    std::vector<Owner> owners;  // those whose numbers of default names count on
};

// What has become different since it was asked for last, and is to be written down again: a process or owner
// that is not found any more was forgotten.
struct Changes {
    std::set<ProcessId> processes;
    std::set<OwnerKey> owners;
    bool numbers = false;  // next_session

    bool empty() const { return processes.empty() && owners.empty() && !numbers; }
};

}  // namespace procd::core
