#pragma once

#include <cstdint>
#include <optional>
#include <sys/types.h>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

// A process is named by its pidfd: a pid may be another process's by the time it is used.

Result<UniqueFd> open_pidfd(pid_t pid);
// SysError with ESRCH where the process is gone.
Result<void> send_signal(int pidfd, int signal);
// Signals the process that had this pid and this start time (0: any), and no other. sender: only if kill(2)
// would let this user. False: it is gone, or it may not be.
bool signal_process(pid_t pid, std::uint64_t start_time, int signal,
                    std::optional<uid_t> sender = std::nullopt);
// Whether that user may, or nobody is asked.
bool is_let(std::optional<uid_t> sender, pid_t pid);

// How a process ended.
struct Exit {
    bool signaled = false;
    int code = 0;    // of exit(), where not signaled
    int signal = 0;  // where signaled
    bool core = false;
};
// How a child of this process ended, which stays a zombie. Empty: it still runs (or is not this process's
// child, or was reaped before).
std::optional<Exit> peek_exit(int pidfd);
// The same, and it is reaped: from then on the kernel has forgotten it.
std::optional<Exit> reap(int pidfd);
// How a process ended that is another's child, or was reaped by another: from the pidfd itself, where the
// kernel keeps it (6.15).
std::optional<Exit> recorded_exit(int pidfd);
// The same of a zombie that its parent has not reaped yet, from /proc (proc_pid_stat(5)).
std::optional<Exit> zombie_exit(int pidfd);

// True when it has ended, reaped or not.
bool has_exited(int pidfd);
// Whether a descriptor is a pidfd at all, of a living process or not.
Result<bool> is_pidfd(int fd);
// In the reader's pid namespace. ESRCH: reaped, or not there.
Result<pid_t> pid_of(int pidfd);
// A copy of another process's descriptor (pidfd_getfd(2)).
Result<UniqueFd> fetch_descriptor(int pidfd, int fd);
// Field 22 of /proc/PID/stat.
Result<std::uint64_t> start_time(pid_t pid);

// The program that a process was started by: its nearest ancestor that has exec'd, which a subshell or a
// forked worker has not. The init process is nobody's caller: ESRCH.
Result<pid_t> caller_program(pid_t pid);

}  // namespace procd::sys
