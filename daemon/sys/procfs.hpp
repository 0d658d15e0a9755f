#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "base/result.hpp"

namespace procd::sys {

// What /proc tells about a process. Everything here can be out of date when it returns: who acts on a pid
// holds a pidfd first and looks at the start time after. An error says whether the process is gone or procd
// was out of something (SysError::is_shortage): the two are not the same answer.

struct ProcessStat {
    pid_t pid = 0;
    std::string comm;
    char state = '?';
    pid_t ppid = 0;
    pid_t session = 0;
    unsigned flags = 0;            // PF_*
    std::uint64_t start_time = 0;  // clock ticks since boot

    bool is_dead() const { return state == 'Z' || state == 'X' || state == 'x'; }
    bool is_exiting() const;    // has begun to exit, by itself or by a signal
    bool never_execed() const;  // a fork that is still its parent's program
    bool is_kernel_thread() const;
};

std::optional<ProcessStat> parse_stat(std::string_view text);
// The last field of /proc/PID/stat: the status of a zombie, as waitpid(2) would give it. 0 for whoever may
// not know it (PTRACE_MODE_READ_FSCREDS).
std::optional<int> parse_exit_status(std::string_view stat_text);
Result<ProcessStat> read_stat(pid_t pid);

// Every pid in /proc.
std::vector<pid_t> all_pids();
// The children of all threads of a process.
std::vector<pid_t> children_of(pid_t pid);
// What this process has adopted: the kernel gives orphans to the main thread. What the spawner threads have
// cloned is in lists of their own. Where the kernel has no such lists: every child of this process that has
// exec'd.
std::vector<pid_t> adopted_children();
// Whether the calling thread has no children. False where that cannot be told.
bool thread_is_childless();

// A value from a process's environment at its exec. Empty also where it may not be read.
std::optional<std::string> environment_value(pid_t pid, std::string_view name);
// The process's cgroup in the unified hierarchy ("0::" of /proc/PID/cgroup).
Result<std::string> cgroup_of(pid_t pid);
struct Uids {
    uid_t real, effective, saved;
};
Result<Uids> uids_of(pid_t pid);
Result<uid_t> effective_uid_of(pid_t pid);
// Whether kill(2) would let this (unprivileged) user signal the process.
Result<bool> may_signal(pid_t pid, uid_t uid);
// Whether /proc/PID belongs to the user: then the process runs as nobody else, and the kernel would let that
// user look into it.
bool is_owned_by(pid_t pid, uid_t uid);

// What a caller may not shake off, so its children must not either.
struct Restrictions {
    bool no_new_privs = false;
    int seccomp = 0;  // 0: none
};
Result<Restrictions> restrictions_of(pid_t pid);
// kind: "user", "mnt", "pid", …; the inode number tells two namespaces apart.
Result<std::uint64_t> namespace_of(pid_t pid, const std::string& kind);

// A whole small file of the kernel's, at most limit bytes.
Result<std::string> read_kernel_file(const std::string& path, std::size_t limit = 1 << 20);

}  // namespace procd::sys
