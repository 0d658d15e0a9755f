#include "daemon/sys/descriptors.hpp"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

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

Result<void> write_at(int fd, std::string_view text, std::uint64_t at, const std::string& subject) {
    while (!text.empty()) {
        const ssize_t written = ::pwrite(fd, text.data(), text.size(), static_cast<off_t>(at));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return SysError{"write", subject, written < 0 ? errno : ENOSPC};
        text.remove_prefix(static_cast<std::size_t>(written));
        at += static_cast<std::uint64_t>(written);
    }
    return {};
}

Result<std::string> read_between(int fd, std::uint64_t from, std::uint64_t to, const std::string& subject) {
    std::string text(to - from, '\0');
    std::size_t got = 0;
    while (got < text.size()) {
        const ssize_t more =
            ::pread(fd, text.data() + got, text.size() - got, static_cast<off_t>(from + got));
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return SysError{"read", subject, errno};
        if (more == 0) break;
        got += static_cast<std::size_t>(more);
    }
    text.resize(got);
    return text;
}

std::string read_available(int fd, std::size_t most) {
    std::string text(most, '\0');
    ssize_t got = 0;
    do got = ::read(fd, text.data(), text.size());
    while (got < 0 && errno == EINTR);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
}

bool leads_to(const std::string& path, int fd) {
    struct stat open {};
    struct stat named {};
    return ::fstat(fd, &open) == 0 && ::lstat(path.c_str(), &named) == 0 && open.st_dev == named.st_dev &&
           open.st_ino == named.st_ino;
}

Result<PipeEnds> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return SysError{"make", "a pipe", errno};
    PipeEnds pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
    if (::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) return SysError{"set up", "a pipe", errno};
    return pipe;
}

UniqueFd placeholder() {
    return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

}  // namespace procd::sys
