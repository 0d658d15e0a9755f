#include "daemon/sys/pidfd.hpp"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/sys/procfs.hpp"

namespace procd::sys {
namespace {

// PIDFD_GET_INFO, newer than the headers this is built with.
struct PidfdInfo {
    std::uint64_t mask, cgroup_id;
    std::uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    std::int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr unsigned long k_pidfd_get_info = _IOWR(0xFF, 11, PidfdInfo);
constexpr std::uint64_t k_info_exit = 1U << 3;

Exit from_wait_status(int status) {
    Exit exit;
    exit.signaled = WIFSIGNALED(status);
    if (exit.signaled) {
        exit.signal = WTERMSIG(status);
        exit.core = WCOREDUMP(status);
    } else {
        exit.code = WEXITSTATUS(status);
    }
    return exit;
}

}  // namespace

Result<UniqueFd> open_pidfd(pid_t pid) {
    const long fd = ::syscall(SYS_pidfd_open, pid, 0);  // always close-on-exec
    if (fd < 0) return SysError{"pidfd_open", std::to_string(pid), errno};
    return UniqueFd(static_cast<int>(fd));
}

Result<void> send_signal(int pidfd, int signal) {
    if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) != 0) {
        return SysError{"pidfd_send_signal", std::to_string(signal), errno};
    }
    return {};
}

bool is_let(std::optional<uid_t> sender, pid_t pid) {
    if (!sender) return true;
    const auto may = may_signal(pid, *sender);
    return may && *may;
}

bool signal_process(pid_t pid, std::uint64_t start, int signal, std::optional<uid_t> sender) {
    const auto pidfd = open_pidfd(pid);
    if (!pidfd) return false;
    if (start != 0) {
        const auto found = start_time(pid);
        if (!found || *found != start) return false;
    }
    if (!is_let(sender, pid)) return false;
    return static_cast<bool>(send_signal(pidfd->get(), signal));
}

namespace {

std::optional<Exit> wait_for(int pidfd, int options) {
    siginfo_t info{};
    // WNOHANG always: a reactor makes the descriptor non-blocking, and then a waiting call is refused. It
    // also means that success may be "not yet", with si_pid 0.
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG | options) != 0) {
        if (errno != EINTR) return std::nullopt;
    }
    if (info.si_pid == 0) return std::nullopt;
    Exit exit;
    exit.signaled = info.si_code != CLD_EXITED;
    if (exit.signaled) {
        exit.signal = info.si_status;
        exit.core = info.si_code == CLD_DUMPED;
    } else {
        exit.code = info.si_status;
    }
    return exit;
}

}  // namespace

std::optional<Exit> peek_exit(int pidfd) {
    return wait_for(pidfd, WNOWAIT);
}

std::optional<Exit> reap(int pidfd) {
    return wait_for(pidfd, 0);
}

std::optional<Exit> recorded_exit(int pidfd) {
    PidfdInfo info{};
    info.mask = k_info_exit;
    if (::ioctl(pidfd, k_pidfd_get_info, &info) != 0 || (info.mask & k_info_exit) == 0) return std::nullopt;
    return from_wait_status(info.exit_code);
}

std::optional<Exit> zombie_exit(int pidfd) {
    const auto pid = pid_of(pidfd);
    if (!pid) return std::nullopt;
    const std::string directory = "/proc/" + std::to_string(*pid);
    const auto text = read_kernel_file(directory + "/stat");
    const auto stat = text ? parse_stat(*text) : std::nullopt;
    if (!stat || stat->state != 'Z') return std::nullopt;
    // Whom the kernel does not let know is told 0: this is refused to the same people.
    char target[64];
    if (::readlink((directory + "/ns/user").c_str(), target, sizeof target) < 0) return std::nullopt;
    const auto status = parse_exit_status(*text);
    // The pid was this process's all the time, if it is still.
    if (!status || !pid_of(pidfd)) return std::nullopt;
    return from_wait_status(*status);
}

bool has_exited(int pidfd) {
    pollfd poller{pidfd, POLLIN, 0};
    return ::poll(&poller, 1, 0) == 1 && (poller.revents & POLLIN) != 0;
}

Result<bool> is_pidfd(int fd) {
    const auto info = read_kernel_file("/proc/self/fdinfo/" + std::to_string(fd));
    if (!info) return info.error();
    return info->find("\nPid:") != std::string::npos;
}

Result<pid_t> pid_of(int pidfd) {
    const auto text = read_kernel_file("/proc/self/fdinfo/" + std::to_string(pidfd));
    if (!text) return text.error();
    const std::size_t at = text->find("\nPid:");
    const long pid = at == std::string::npos ? -1 : std::strtol(text->c_str() + at + 5, nullptr, 10);
    if (pid <= 0) return SysError{"find the process of pidfd", std::to_string(pidfd), ESRCH};
    return static_cast<pid_t>(pid);
}

Result<UniqueFd> fetch_descriptor(int pidfd, int fd) {
    const long copy = ::syscall(SYS_pidfd_getfd, pidfd, fd, 0);
    if (copy < 0) return SysError{"pidfd_getfd", std::to_string(fd), errno};
    return UniqueFd(static_cast<int>(copy));
}

Result<std::uint64_t> start_time(pid_t pid) {
    const auto stat = read_stat(pid);
    if (!stat) return stat.error();
    return stat->start_time;
}

Result<pid_t> caller_program(pid_t pid) {
    auto stat = read_stat(pid);
    while (stat && stat->ppid > 1) {
        stat = read_stat(stat->ppid);
        if (stat && !stat->never_execed()) return stat->pid;
    }
    if (!stat && stat.error().is_shortage()) return stat.error();
    return SysError{"find the program that started", std::to_string(pid), ESRCH};
}

}  // namespace procd::sys
