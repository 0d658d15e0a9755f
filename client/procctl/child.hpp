#pragma once

#include <signal.h>
#include <string>
#include <sys/types.h>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"
#include "client/procctl/failure.hpp"

namespace procctl {

// A plain child of procctl: in its session and process group, with its streams.
struct Child {
    pid_t pid = -1;
    procd::UniqueFd pidfd;
};

// It is killed when procctl dies. An exec that fails is k_not_found or k_cannot_execute.
Outcome<Child> start_child(const std::vector<std::string>& command,
                           const std::vector<std::pair<std::string, std::string>>& variables,
                           const sigset_t& mask);

// Makes procctl the parent of what its children orphan.
void adopt_orphans();

}  // namespace procctl
