#pragma once

#include <cstdint>
#include <optional>
#include <sys/types.h>
#include <vector>

#include "base/unique_fd.hpp"
#include "client/procctl/failure.hpp"

namespace procctl {

// What /proc tells of a process.
struct ProcStat {
    pid_t pid = 0;
    char state = '?';
    pid_t parent = 0;
    unsigned long flags = 0;
    std::uint64_t start_time = 0;  // ticks since boot; with the pid it names one process for good

    // A fork that has not exec'd: a subshell, which is no program of its own.
    bool is_bare_fork() const { return (flags & 0x40UL) != 0; }  // PF_FORKNOEXEC
    bool is_dead() const { return state == 'Z' || state == 'X'; }
    bool operator==(const ProcStat&) const = default;
};
std::optional<ProcStat> read_stat(pid_t pid);
// The same from the text of /proc/PID/stat.
std::optional<ProcStat> parse_stat(const std::string& text);

// A pidfd of the program that called procctl: the nearest ancestor that has exec'd.
Outcome<procd::UniqueFd> open_caller();
Outcome<procd::UniqueFd> open_process(pid_t pid);

// All that descend from this process and have not ended.
std::vector<ProcStat> descendants_of(pid_t ancestor);
// Its command line, as a person would type it; its name where it has none.
std::string command_line_of(pid_t pid);

procd::UniqueFd pidfd_of(pid_t pid);
bool pidfd_send(const procd::UniqueFd& pidfd, int signal);

}  // namespace procctl
