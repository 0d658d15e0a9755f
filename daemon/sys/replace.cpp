#include "daemon/sys/replace.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace procd::sys {

Result<UniqueFd> make_state_memory(const std::string& text) {
    UniqueFd fd(::memfd_create("procd-state", MFD_CLOEXEC));
    if (!fd) return SysError{"memfd_create", "procd-state", errno};
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t more =
            ::pwrite(fd.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
        if (more < 0 && errno == EINTR) continue;
        if (more <= 0) return SysError{"write", "procd-state", more < 0 ? errno : ENOSPC};
        done += static_cast<std::size_t>(more);
    }
    return fd;
}

Result<std::string> read_state_memory(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return SysError{"stat", "the state", errno};
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    std::size_t done = 0;
    while (done < text.size()) {
        const ssize_t more = ::pread(fd, text.data() + done, text.size() - done, static_cast<off_t>(done));
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return SysError{"read", "the state", errno};
        if (more == 0) break;
        done += static_cast<std::size_t>(more);
    }
    text.resize(done);
    return text;
}

SysError replace_program(const std::string& program, const std::vector<std::string>& arguments,
                         const std::vector<int>& kept) {
    std::vector<char*> argv;
    std::vector<std::string> words = arguments;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    for (const int fd : kept) ::fcntl(fd, F_SETFD, 0);
    ::execve(program.c_str(), argv.data(), environ);
    const int error = errno;
    for (const int fd : kept) set_close_on_exec(fd);
    return SysError{"exec", program, error};
}

void set_close_on_exec(int fd) {
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
}

void close_others(const std::vector<int>& kept) {
    std::vector<int> sorted = kept;
    std::sort(sorted.begin(), sorted.end());
    unsigned from = STDERR_FILENO + 1;
    for (const int fd : sorted) {
        const auto number = static_cast<unsigned>(fd);
        if (fd < 0 || number < from) continue;
        if (number > from) ::syscall(SYS_close_range, from, number - 1, 0);
        from = number + 1;
    }
    ::syscall(SYS_close_range, from, ~0U, 0);
}

Result<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return SysError{"make", "a pipe", errno};
    Pipe pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
    if (::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) != 0) return SysError{"set up", "a pipe", errno};
    return pipe;
}

std::string read_available(int fd, std::size_t most) {
    std::string text(most, '\0');
    ssize_t got = 0;
    do got = ::read(fd, text.data(), text.size());
    while (got < 0 && errno == EINTR);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
}

}  // namespace procd::sys
