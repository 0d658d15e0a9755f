#include "daemon/sys/descriptors.hpp"

#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>

namespace procd::sys {

Result<UniqueFd> duplicate(int fd) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!copy) return SysError{"duplicate descriptor", std::to_string(fd), errno};
    return copy;
}

Result<UniqueFd> readable_for_ever() {
    UniqueFd event(::eventfd(1, EFD_CLOEXEC));
    if (!event) return SysError{"eventfd", "", errno};
    return event;
}

bool is_ready(int fd, Ready what) {
    const short events = what == Ready::to_read ? POLLIN : what == Ready::to_write ? POLLOUT : POLLPRI;
    pollfd poller{fd, events, 0};
    return ::poll(&poller, 1, 0) == 1;
}

UniqueFd placeholder() {
    return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace procd::sys
