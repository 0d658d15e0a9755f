#include "client/procctl/terminal.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace procctl {
namespace {

using procd::UniqueFd;

constexpr unsigned short k_lines = 24;  // of a terminal that nobody looks at
constexpr unsigned short k_columns = 80;

Failure cannot(const char* operation) {
    const int error = errno;
    Failure failure = Failure::refused(procd::proto::ErrorKind::exec_failed,
                                       std::string(operation) + ": " + std::strerror(error));
    failure.status = k_cannot_execute;
    return failure;
}

}  // namespace

bool in_foreground(int terminal) {
    const pid_t group = ::tcgetpgrp(terminal);
    return group < 0 || group == ::getpgrp();
}

UniqueFd open_controlling_terminal() {
    return UniqueFd(::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC));
}

winsize window_size() {
    winsize size{};
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0) return size;
    size = {};
    size.ws_row = k_lines;
    size.ws_col = k_columns;
    return size;
}

Outcome<TerminalPair> open_terminal(std::optional<int> like, bool echo) {
    TerminalPair pair;
    pair.master.reset(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
    if (!pair.master) return cannot("cannot open a terminal at /dev/ptmx");
    if (::grantpt(pair.master.get()) != 0 || ::unlockpt(pair.master.get()) != 0)
        return cannot("cannot unlock a new terminal");
    // By its master, and not by its path, which may be another one's in this mount namespace.
    pair.slave.reset(::ioctl(pair.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (!pair.slave) return cannot("cannot open the other end of a new terminal");

    termios settings{};
    if (::tcgetattr(like.value_or(pair.slave.get()), &settings) != 0)
        return cannot("cannot read the settings of the terminal");
    if (!echo) settings.c_lflag &= ~static_cast<tcflag_t>(ECHO | ECHOE | ECHOK | ECHONL);
    const winsize size = window_size();
    if (::tcsetattr(pair.slave.get(), TCSANOW, &settings) != 0 ||
        ::ioctl(pair.master.get(), TIOCSWINSZ, &size) != 0)
        return cannot("cannot set up a new terminal");
    return pair;
}

void RawTerminal::enter() {
    if (!in_foreground(fd_)) return;
    if (!before_) {
        termios now{};
        if (::tcgetattr(fd_, &now) != 0) return;  // it is gone, which reading from it will tell
        before_ = now;
    }
    termios raw = *before_;
    ::cfmakeraw(&raw);
    ::tcsetattr(fd_, TCSANOW, &raw);
}

void RawTerminal::leave() {
    if (!before_) return;
    // Just now it may have become another's: changing it then would stop us here, so that is left out.
    sigset_t stop, mask;
    ::sigemptyset(&stop);
    ::sigaddset(&stop, SIGTTOU);
    ::sigprocmask(SIG_BLOCK, &stop, &mask);
    if (in_foreground(fd_)) ::tcsetattr(fd_, TCSANOW, &*before_);
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
    before_.reset();
}

}  // namespace procctl
