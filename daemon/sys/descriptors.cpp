#include "daemon/sys/descriptors.hpp"

#include <cerrno>
#include <fcntl.h>
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

UniqueFd placeholder() {
    return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace procd::sys
