#pragma once

#include <cstddef>
#include <sys/types.h>

#include "daemon/sys/spawn.hpp"

namespace procd::sys {

// A file for the child to open as its stdin, stdout or stderr. path null: nothing to open there.
struct ChildFile {
    const char* path = nullptr;
    int flags = 0;
};

// A LaunchPlan turned into what the child can use without allocating: every pointer is into memory of the
// spawner's, which sleeps, and stays.
struct ChildPlan {
    char* const* argv = nullptr;
    char* const* envp = nullptr;
    const char* const* candidates = nullptr;  // paths to try in this order; ends with null
    bool searched = false;                    // several candidates from PATH, not one path as given
    const char* cwd = nullptr;
    mode_t umask = 022;
    const ResourceLimit* limits = nullptr;
    std::size_t limit_count = 0;
    const Credentials* become = nullptr;
    bool no_new_privs = false;
    const int* sources = nullptr;  // what becomes descriptor i; below 0: nothing yet
    int* moved = nullptr;          // scratch, as many
    int source_count = 0;          // at least 3
    int terminal = -1;             // to control its session; below 0: none
    int cgroup_fd = -1;            // the group it is born in, to be marked with its pid; below 0: none
    unsigned close_bound = 0;      // no descriptor is this high, for kernels without close_range
    ChildFile files[3];
    bool stderr_is_stdout = false;

    LaunchProgress* progress = nullptr;
    int error = 0;  // the child's answer: the errno of progress->stage
};

// The extended attribute of a tree's group that has the pid of its main, a long as it is in memory: from the
// first moment of the main on.
constexpr const char* k_main_mark = "user.procd.main";

// What runs between clone3 and execve. argument: a ChildPlan. Never returns.
void child_main(void* argument);

}  // namespace procd::sys
