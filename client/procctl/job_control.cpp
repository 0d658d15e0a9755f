#include "client/procctl/job_control.hpp"

#include <charconv>
#include <csignal>
#include <fstream>
#include <iterator>

#include "client/procctl/caller.hpp"

namespace procctl {
namespace {

sigset_t only(int signal) {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, signal);
    return set;
}

// A blocked signal that is pending is taken.
bool take(int signal) {
    const sigset_t set = only(signal);
    const timespec at_once{};
    return ::sigtimedwait(&set, nullptr, &at_once) == signal;
}

}  // namespace

bool stop_as_job() {
    const sigset_t stop = only(SIGTSTP);
    // Pending first, then a look, then the stop: a SIGCONT that comes in between takes it away again.
    ::raise(SIGTSTP);
    if (take(SIGCONT)) {
        take(SIGTSTP);
        return false;
    }
    ::sigprocmask(SIG_UNBLOCK, &stop, nullptr);
    ::sigprocmask(SIG_BLOCK, &stop, nullptr);
    return take(SIGCONT);
}

std::optional<int> pid_of_fdinfo(const std::string& text) {
    constexpr std::string_view k_key = "\nPid:\t";
    const std::size_t found = text.find(k_key);
    if (found == std::string::npos) return std::nullopt;
    const char* const begin = text.data() + found + k_key.size();
    int pid = 0;
    if (std::from_chars(begin, text.data() + text.size(), pid).ec != std::errc() || pid <= 0)
        return std::nullopt;
    return pid;
}

bool StopWatch::is_stopped() const {
    std::ifstream file("/proc/self/fdinfo/" + std::to_string(pidfd_.get()));
    const auto pid = pid_of_fdinfo({std::istreambuf_iterator<char>(file), {}});
    const auto stat = pid ? read_stat(*pid) : std::nullopt;
    return stat && stat->state == 'T';
}

}  // namespace procctl
