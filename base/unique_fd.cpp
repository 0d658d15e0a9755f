#include "base/unique_fd.hpp"

#include <cerrno>
#include <unistd.h>

namespace procd {

void UniqueFd::reset(int fd) {
    const int old = std::exchange(fd_, fd);
    if (old < 0) return;
    // EINTR from close(2) means "closed" on Linux: trying again could close somebody else's descriptor. What
    // the caller is about to report must not be overwritten by it either.
    const int saved = errno;
    ::close(old);
    errno = saved;
}

}  // namespace procd
