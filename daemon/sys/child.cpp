#include "daemon/sys/child.hpp"

#include <cerrno>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "daemon/sys/raw_syscall.hpp"

// This runs in a process that shares procd's memory while one of procd's threads sleeps. Raw system calls
// only: no allocation, no lock, no libc state. Every function answers 0 or -errno.

namespace procd::sys {
namespace {

constexpr int k_last_signal = 64;

PROCD_NO_SANITIZE void reset_signals() {
    // The clone cleared the handlers; what procd ignores would stay ignored. All zero is SIG_DFL, no flags,
    // no mask.
    const long defaults[8] = {};
    for (int signal = 1; signal <= k_last_signal; ++signal) {
        if (signal == SIGKILL || signal == SIGSTOP) continue;
        raw_syscall(SYS_rt_sigaction, signal, as_argument(defaults), 0, 8);
    }
}

// Says in the group itself who its main is, while that can still be said by procd's rights and descriptor.
// Where the kernel has no place for it (before 5.7) it is not said.
PROCD_NO_SANITIZE void mark_group(const ChildPlan& plan) {
    if (plan.cgroup_fd < 0) return;
    const long pid = raw_syscall(SYS_getpid);
    raw_syscall(SYS_fsetxattr, plan.cgroup_fd, as_argument(k_main_mark), as_argument(&pid), sizeof pid, 0);
}

// Before the descriptors are moved, so by procd's number. Whoever has it as the controlling terminal of
// another session keeps it (EPERM).
PROCD_NO_SANITIZE long take_terminal(const ChildPlan& plan) {
    if (plan.terminal < 0) return 0;
    // The kernel asks that of all but root, and here the child may still be root: through /dev/tty one may
    // read what one could not before.
    const long flags = raw_syscall(SYS_fcntl, plan.terminal, F_GETFL);
    if (flags < 0) return flags;
    if ((flags & O_ACCMODE) == O_WRONLY) return -EPERM;
    return raw_syscall(SYS_ioctl, plan.terminal, TIOCSCTTY, 0);
}

constexpr long k_every_descriptor = 0xffffffffL;  // close_range(2): last

PROCD_NO_SANITIZE void close_from(const ChildPlan& plan) {
    // Really closed, not only at the exec: a child that hangs before it must not hold a client's socket open.
    if (raw_syscall(SYS_close_range, plan.source_count, k_every_descriptor, 0) == 0) return;
    for (unsigned fd = static_cast<unsigned>(plan.source_count); fd < plan.close_bound; ++fd) {
        raw_syscall(SYS_close, static_cast<long>(fd));
    }
}

PROCD_NO_SANITIZE long take_descriptors(const ChildPlan& plan) {
    // First everything above the targets, so that no target overwrites what another still needs.
    for (int i = 0; i < plan.source_count; ++i) {
        if (plan.sources[i] < 0) continue;
        const long moved = raw_syscall(SYS_fcntl, plan.sources[i], F_DUPFD_CLOEXEC, plan.source_count);
        if (moved < 0) return moved;
        plan.moved[i] = static_cast<int>(moved);
    }
    for (int i = 0; i < plan.source_count; ++i) {
        if (plan.sources[i] < 0) {
            raw_syscall(SYS_close, i);
            continue;
        }
        const long placed = raw_syscall(SYS_dup3, plan.moved[i], i, 0);
        if (placed < 0) return placed;
    }
    close_from(plan);
    return 0;
}

PROCD_NO_SANITIZE long apply_limits(const ChildPlan& plan) {
    for (std::size_t i = 0; i < plan.limit_count; ++i) {
        const ResourceLimit& limit = plan.limits[i];
        std::uint64_t value[2] = {limit.soft, limit.hard};
        long result = raw_syscall(SYS_prlimit64, 0, limit.resource, as_argument(value), 0);
        if (result == -EPERM && limit.as_far_as_allowed) {
            std::uint64_t own[2] = {0, 0};
            if ((result = raw_syscall(SYS_prlimit64, 0, limit.resource, 0, as_argument(own))) < 0)
                return result;
            value[1] = limit.hard < own[1] ? limit.hard : own[1];
            value[0] = limit.soft < value[1] ? limit.soft : value[1];
            result = raw_syscall(SYS_prlimit64, 0, limit.resource, as_argument(value), 0);
        }
        if (result < 0) return result;
    }
    return 0;
}

PROCD_NO_SANITIZE long become_groups(const Credentials& user) {
    return raw_syscall(SYS_setgroups, static_cast<long>(user.groups.size()), as_argument(user.groups.data()));
}

PROCD_NO_SANITIZE long become_user(const Credentials& user) {
    const long gid = static_cast<long>(user.gid);
    const long uid = static_cast<long>(user.uid);
    const long result = raw_syscall(SYS_setresgid, gid, gid, gid);
    if (result < 0) return result;
    return raw_syscall(SYS_setresuid, uid, uid, uid);
}

PROCD_NO_SANITIZE long open_file(const ChildFile& file, int target) {
    if (file.path == nullptr) return 0;
    // Never a controlling terminal, and never asleep on a FIFO that nobody else has opened.
    const long fd =
        raw_syscall(SYS_openat, AT_FDCWD, as_argument(file.path), file.flags | O_NOCTTY | O_NONBLOCK, 0666);
    if (fd < 0) return fd;
    const long flags = raw_syscall(SYS_fcntl, fd, F_GETFL);
    if (flags >= 0) raw_syscall(SYS_fcntl, fd, F_SETFL, flags & ~static_cast<long>(O_NONBLOCK));
    if (fd == target) return 0;
    const long placed = raw_syscall(SYS_dup3, fd, target, 0);
    raw_syscall(SYS_close, fd);
    return placed < 0 ? placed : 0;
}

// Whether another directory of PATH may still have the command after this error.
PROCD_NO_SANITIZE bool search_goes_on(long error) {
    switch (error) {
        case -EACCES:
        case -ENOENT:
        case -ENOTDIR:
        case -ESTALE:
        case -ENODEV:
        case -ETIMEDOUT:
        case -ENAMETOOLONG:
            return true;
        default:
            return false;
    }
}

PROCD_NO_SANITIZE long execute(const ChildPlan& plan) {
    const std::uint64_t nothing = 0;
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, as_argument(&nothing), 0, sizeof nothing);
    long result = -ENOENT;
    bool denied = false;
    for (const char* const* path = plan.candidates; *path != nullptr; ++path) {
        result = raw_syscall(SYS_execve, as_argument(*path), as_argument(plan.argv), as_argument(plan.envp));
        if (!plan.searched || !search_goes_on(result)) return result;
        denied = denied || result == -EACCES;
    }
    // "Not allowed" says more than "not there": it was found somewhere.
    return denied ? -EACCES : result;
}

PROCD_NO_SANITIZE long run(const ChildPlan& plan) {
    LaunchProgress& progress = *plan.progress;
    long result;

    progress.stage.store(Stage::session);
    mark_group(plan);
    reset_signals();
    if ((result = raw_syscall(SYS_setsid)) < 0) return result;
    raw_syscall(SYS_umask, static_cast<long>(plan.umask));

    progress.stage.store(Stage::terminal);
    if ((result = take_terminal(plan)) < 0) return result;

    progress.stage.store(Stage::descriptors);
    if ((result = take_descriptors(plan)) < 0) return result;

    progress.stage.store(Stage::limits);
    if ((result = apply_limits(plan)) < 0) return result;

    if (plan.become != nullptr) {
        progress.stage.store(Stage::groups);
        if ((result = become_groups(*plan.become)) < 0) return result;
        progress.stage.store(Stage::user);
        if ((result = become_user(*plan.become)) < 0) return result;
    }
    if (plan.no_new_privs) {
        progress.stage.store(Stage::user);
        if ((result = raw_syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1)) < 0) return result;
    }

    progress.stage.store(Stage::chdir);
    if ((result = raw_syscall(SYS_chdir, as_argument(plan.cwd))) < 0) return result;

    // In this order, and with everything else closed, each open gets the lowest free number: its target.
    progress.stage.store(Stage::open_stdin);
    if ((result = open_file(plan.files[0], 0)) < 0) return result;
    progress.stage.store(Stage::open_stdout);
    if ((result = open_file(plan.files[1], 1)) < 0) return result;
    progress.stage.store(Stage::open_stderr);
    if (plan.stderr_is_stdout) {
        if ((result = raw_syscall(SYS_dup3, 1, 2, 0)) < 0) return result;
    }
    if ((result = open_file(plan.files[2], 2)) < 0) return result;

    progress.stage.store(Stage::exec);
    return execute(plan);
}

}  // namespace

PROCD_NO_SANITIZE void child_main(void* argument) {
    ChildPlan& plan = *static_cast<ChildPlan*>(argument);
    plan.error = static_cast<int>(-run(plan));
    for (;;) raw_syscall(SYS_exit_group, 127);
}

}  // namespace procd::sys
