// For LD_PRELOAD: while the file named by FULL_REACTOR is there, nothing more can be watched with epoll, as
// when the user's watches are used up (fs.epoll.max_user_watches).
#include <cerrno>
#include <cstdlib>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

extern "C" int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
    const char* const full = std::getenv("FULL_REACTOR");
    if (operation == EPOLL_CTL_ADD && full != nullptr && ::access(full, F_OK) == 0) {
        errno = ENOSPC;
        return -1;
    }
    return static_cast<int>(::syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}
