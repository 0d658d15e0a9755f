#include "daemon/sys/process_self.hpp"

#include <algorithm>
#include <filesystem>
#include <limits.h>
#include <stdlib.h>
#include <string_view>
#include <unistd.h>

#include "daemon/sys/procfs.hpp"

namespace procd::sys {
namespace {

std::string first_line(const Result<std::string>& text) {
    return text ? text->substr(0, text->find('\n')) : std::string{};
}

std::optional<std::string> link_target(const std::string& path) {
    char target[PATH_MAX];
    const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
    if (length <= 0 || length == static_cast<ssize_t>(sizeof target)) return std::nullopt;
    return std::string(target, static_cast<std::size_t>(length));
}

}  // namespace

pid_t own_pid() {
    return ::getpid();
}

uid_t own_uid() {
    return ::geteuid();
}

gid_t own_gid() {
    return ::getegid();
}

std::string boot_id() {
    return first_line(read_kernel_file("/proc/sys/kernel/random/boot_id"));
}

std::string comm_of(pid_t pid) {
    // From stat, not from comm: a name may contain a newline.
    const auto stat = read_stat(pid);
    return stat ? stat->comm : std::string{};
}

std::vector<std::string> command_of(pid_t pid) {
    std::vector<std::string> words;
    const auto text = read_kernel_file("/proc/" + std::to_string(pid) + "/cmdline", 8 << 20);
    for (std::size_t at = 0; text && at < text->size();) {
        const std::size_t end = std::min(text->find('\0', at), text->size());
        words.push_back(text->substr(at, end - at));
        at = end + 1;
    }
    return words;
}

std::optional<std::string> cwd_of(pid_t pid) {
    return link_target("/proc/" + std::to_string(pid) + "/cwd");
}

std::optional<std::string> own_executable() {
    constexpr std::string_view k_deleted = " (deleted)";  // proc_pid_exe(5)
    auto path = link_target("/proc/self/exe");
    // Replaced by another, in most cases: that one has the name now.
    if (path && path->ends_with(k_deleted) && ::access(path->c_str(), F_OK) != 0)
        path->resize(path->size() - k_deleted.size());
    return path;
}

std::optional<std::string> real_path(const std::string& path) {
    char* const resolved = ::realpath(path.c_str(), nullptr);
    if (resolved == nullptr) return std::nullopt;
    std::string text = resolved;
    ::free(resolved);
    return text;
}

std::optional<std::string> environment_variable(const std::string& name) {
    const char* const value = ::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
}

std::size_t open_descriptors() {
    std::error_code error;
    std::size_t count = 0;
    for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
         entry.increment(error)) {
        ++count;
    }
    return count;
}

}  // namespace procd::sys
