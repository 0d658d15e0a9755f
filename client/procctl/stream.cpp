#include "client/procctl/stream.hpp"

#include <algorithm>
#include <fcntl.h>
#include <string>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace procctl {
namespace {

// What a terminal or a pipe that is ready for writing takes without making the writer wait.
constexpr std::size_t k_small_step = 256;

// Opening the master of a terminal again would make another terminal.
bool is_master(int fd) {
    unsigned number = 0;
    return ::ioctl(fd, TIOCGPTN, &number) == 0;
}

}  // namespace

Stream::Stream(int fd, Direction direction) : fd_(fd), terminal_(::isatty(fd) == 1) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return;
    socket_ = S_ISSOCK(status.st_mode);
    if (!S_ISFIFO(status.st_mode) && !terminal_) return;
    if (!is_master(fd)) {
        const std::string path = "/proc/self/fd/" + std::to_string(fd);
        own_.reset(::open(path.c_str(), (direction == Direction::in ? O_RDONLY : O_WRONLY) | O_NONBLOCK |
                                            O_NOCTTY | O_CLOEXEC));
    }
    small_steps_ = !own_;
    if (own_) fd_ = own_.get();
}

ssize_t Stream::read(char* bytes, std::size_t size) const {
    return socket_ ? ::recv(fd_, bytes, size, MSG_DONTWAIT) : ::read(fd_, bytes, size);
}

ssize_t Stream::write(const char* bytes, std::size_t size) const {
    if (small_steps_) size = std::min(size, k_small_step);
    return socket_ ? ::send(fd_, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL) : ::write(fd_, bytes, size);
}

}  // namespace procctl
