#include "client/procctl/output.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace procctl {
namespace {

std::array<bool, 3> was_open{true, true, true};
struct sigaction sigpipe_before {};

// True when all is written.
bool write_all(int fd, std::string_view text) {
    while (!text.empty()) {
        const ssize_t written = ::write(fd, text.data(), text.size());
        if (written >= 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno == EAGAIN) {  // somebody made it non-blocking
            pollfd entry{fd, POLLOUT, 0};
            ::poll(&entry, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

}  // namespace

void prepare_streams() {
    for (int fd = 0; fd < 3; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0) continue;
        was_open[static_cast<std::size_t>(fd)] = false;
        // The lowest free number is this one; opened the wrong way round, so that using it still fails.
        static_cast<void>(::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY));
    }
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignore, &sigpipe_before);
}

bool stream_was_open(int fd) {
    return was_open[static_cast<std::size_t>(fd)];
}

void restore_sigpipe() {
    ::sigaction(SIGPIPE, &sigpipe_before, nullptr);
}

bool Output::flush() {
    if (failed_) return false;
    const bool written = write_all(STDOUT_FILENO, buffer_);
    const int error = errno;
    buffer_.clear();
    if (written) return true;
    failed_ = true;
    if (error != EPIPE) complain(std::string("cannot write to stdout: ") + std::strerror(error));
    return false;
}

void complain(std::string_view text) {
    say(std::string("procctl: ").append(text));
}

void say(std::string_view text) {
    // In one write, so that lines of several procctls do not mix.
    write_all(STDERR_FILENO, std::string(text) + '\n');
}

std::size_t terminal_columns() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
    return size.ws_col;
}

bool stderr_is_terminal() {
    return ::isatty(STDERR_FILENO) == 1;
}

}  // namespace procctl
