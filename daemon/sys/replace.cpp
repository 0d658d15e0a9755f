#include "daemon/sys/replace.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/sys/descriptors.hpp"

namespace procd::sys {

Result<UniqueFd> make_state_memory(const std::string& text) {
    UniqueFd fd(::memfd_create("procd-state", MFD_CLOEXEC));
    if (!fd) return SysError{"memfd_create", "procd-state", errno};
    if (auto written = write_at(fd.get(), text, 0, "procd-state"); !written) return written.error();
    return fd;
}

Result<std::string> read_state_memory(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return SysError{"stat", "the state", errno};
    return read_between(fd, 0, static_cast<std::uint64_t>(status.st_size), "the state");
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

}  // namespace procd::sys
