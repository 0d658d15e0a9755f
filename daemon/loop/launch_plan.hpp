#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/core/actions.hpp"
#include "daemon/loop/children.hpp"
#include "daemon/sys/log_file.hpp"
#include "daemon/sys/spawn.hpp"

namespace procd::loop {

// One start, from the core's decision to the child's exec: holds every descriptor that the plan borrows.
struct Children::Launching {
    core::Launch action;
    UniqueFd group;                             // the cgroup to be born in
    std::array<core::ResourcePtr, 3> of_owner;  // what the owning process has there, where that was asked for
    std::optional<ChildLog> log, log_stderr;    // made by prepare
    std::string log_problem;                    // why it could not be
    std::shared_ptr<sys::Launch> launch;
};

// The core's specification → plain data for sys. Runs on a spawner thread: it asks the user database and
// makes the log file, and both can wait.
std::variant<sys::LaunchPlan, sys::SpawnError> prepare_plan(Children::Launching& launching,
                                                            const ChildrenConfig& config, Logs& logs);

}  // namespace procd::loop
