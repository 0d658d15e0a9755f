#include "daemon/sys/descriptors.hpp"

#include <fcntl.h>
#include <sys/eventfd.h>

namespace procd::sys {

UniqueFd duplicate(int fd) {
    return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

UniqueFd readable_for_ever() {
    return UniqueFd(::eventfd(1, EFD_CLOEXEC));
}

UniqueFd placeholder() {
    return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace procd::sys
