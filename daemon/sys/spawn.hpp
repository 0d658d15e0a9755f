#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <sys/types.h>
#include <variant>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

// The steps between clone3 and execve, in the order taken. A failure is reported as {stage, errno}.
enum class Stage {
    prepare,      // in procd, before the clone: users, log file, cgroup
    clone,        // clone3 itself
    session,      // setsid
    terminal,     // the controlling terminal
    descriptors,  // moving the given descriptors to 0, 1, 2, 3, …; closing all others
    limits,       // setrlimit
    groups,       // setgroups
    user,         // setresgid, setresuid
    chdir,
    open_stdin,
    open_stdout,
    open_stderr,
    exec,
};
const char* to_text(Stage stage);  // "prepare", "clone", …, "open stdin", "exec"

// A file that the child opens itself, after chdir and as its own user.
struct FileToOpen {
    std::string path;
    bool write = false;   // stdin: false; stdout, stderr: true (O_CREAT, mode 0666 & ~umask)
    bool append = false;  // O_APPEND; without it O_TRUNC. Only for write
};
// "the same open file as stdout": for stderr only.
struct SameAsStdout {};
// A descriptor of procd's (borrowed: it must stay open until the spawn is over), a path, or stdout's.
using StdioSource = std::variant<int, FileToOpen, SameAsStdout>;

struct ResourceLimit {
    int resource;                    // RLIMIT_*
    std::uint64_t soft, hard;        // RLIM_INFINITY for unlimited
    bool as_far_as_allowed = false;  // where raising the hard limit is not permitted, keep procd's own
};

struct Credentials {
    uid_t uid;
    gid_t gid;
    std::vector<gid_t> groups;
};

// Everything a child is made of, as plain data. argv and env are bytes without NUL.
struct LaunchPlan {
    std::vector<std::string> argv;  // argv[0] without a slash is searched in env's PATH
    std::vector<std::string> env;   // "K=V"
    std::string cwd = "/";
    mode_t umask = 022;
    std::vector<ResourceLimit> limits;
    std::optional<Credentials> become;  // set*id; absent: procd's own
    bool no_new_privs = false;
    std::array<StdioSource, 3> stdio{-1, -1, -1};  // -1 (an int below 0): /dev/null
    int null_device = -1;                          // an open /dev/null; -1: one is opened where it is needed
    std::vector<int> extra_fds;                    // land at 3, 4, … in this order
    int terminal = -1;   // a terminal, to control the child's session; -1: none does
    int cgroup_fd = -1;  // O_PATH/O_DIRECTORY fd of the cgroup to be born in; -1: procd's own
};

// What the kernel and the child write while the spawner thread sleeps in clone3 (the memory is shared).
// Any thread may read it, to see a child that hangs before its exec, or to end one.
struct LaunchProgress {
    std::atomic<Stage> stage{Stage::prepare};
    std::atomic<pid_t> pid{0};           // set by the kernel (CLONE_PARENT_SETTID) before the child can run
    std::atomic<int> pidfd{-1};          // likewise (CLONE_PIDFD); owned by the spawner until spawn() returns
    std::atomic<bool> abandoned{false};  // set by another thread: do not clone any more
    // Held by who signals through pidfd, and by spawn() when it takes pidfd away: a number that was closed
    // may belong to another file by now.
    std::mutex pidfd_lock;
    bool over = false;  // under pidfd_lock: the child has exec'd or is gone; there is nothing to abandon
};

struct Spawned {
    pid_t pid;
    UniqueFd pidfd;            // CLOEXEC
    std::uint64_t start_time;  // field 22 of /proc/PID/stat, clock ticks since boot
};

// Why there is no child. error is an errno; killed: a signal ended the child before its exec (error is 0).
struct SpawnError {
    Stage stage;
    int error = 0;
    bool killed = false;
};

// Starts a child:
// clone3(CLONE_VM|CLONE_VFORK|CLONE_PIDFD|CLONE_PARENT_SETTID|CLONE_CLEAR_SIGHAND[|CLONE_INTO_CGROUP]), all
// signals default, empty mask, own session, nothing open but what the plan names, then execve. Blocks the
// calling thread until the child has exec'd, failed or died; a child may hang for ever (a dead network file
// system, SIGSTOP by its user), so only spawner threads call this. A child that failed or was killed before
// its exec has been reaped when this returns. See clone(2), execve(2).
std::variant<Spawned, SpawnError> spawn(const LaunchPlan& plan, LaunchProgress& progress);

// For LaunchPlan::null_device. None: errno says why.
UniqueFd open_null_device();

// Whether a process can be born in this cgroup, by trying it with one that ends at once.
Result<void> probe_birth(int cgroup_fd);

}  // namespace procd::sys
