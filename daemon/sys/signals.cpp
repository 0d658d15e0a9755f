#include "daemon/sys/signals.hpp"

#include <cerrno>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/sys/procfs.hpp"

namespace procd::sys {

void reset_signals() {
    for (int signal = 1; signal < NSIG; ++signal)
        ::signal(signal, SIG_DFL);  // the two that cannot be set say so
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGXFSZ, SIG_IGN);  // a log at the limit of RLIMIT_FSIZE is an error like any other
    sigset_t none;
    ::sigemptyset(&none);
    ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
}

Result<UniqueFd> open_signals() {
    sigset_t wanted;
    ::sigemptyset(&wanted);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD})
        ::sigaddset(&wanted, signal);
    if (const int error = ::pthread_sigmask(SIG_BLOCK, &wanted, nullptr); error != 0) {
        return SysError{"pthread_sigmask", "", error};
    }
    UniqueFd signals(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!signals) return SysError{"signalfd", "", errno};
    return signals;
}

std::optional<int> read_signal(int signals) {
    signalfd_siginfo info{};
    if (::read(signals, &info, sizeof info) != static_cast<ssize_t>(sizeof info)) return std::nullopt;
    return static_cast<int>(info.ssi_signo);
}

Result<void> become_subreaper() {
    if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        return SysError{"prctl", "PR_SET_CHILD_SUBREAPER", errno};
    return {};
}

pid_t peek_ended_child() {
    siginfo_t info{};
    while (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
        if (errno != EINTR) return 0;
    }
    return info.si_pid;
}

bool reap_pid(pid_t pid) {
    siginfo_t info{};
    while (::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG) != 0) {
        if (errno != EINTR) return false;
    }
    return info.si_pid != 0;
}

std::size_t reap_orphans(const std::function<bool(pid_t)>& is_main) {
    // A main that waits for its pidfd's turn would be peeked again and again, and hide who is behind it: so
    // the peek only tells whether to look, and the list of the adopted where.
    if (peek_ended_child() == 0) return 0;
    std::size_t reaped = 0;
    for (const pid_t pid : adopted_children()) {
        if (!is_main(pid) && reap_pid(pid)) ++reaped;
    }
    return reaped;
}

}  // namespace procd::sys
