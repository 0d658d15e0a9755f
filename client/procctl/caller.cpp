#include "client/procctl/caller.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/procctl/text.hpp"

namespace procctl {
namespace {

namespace proto = procd::proto;
using procd::UniqueFd;

constexpr std::size_t k_longest_command_line = 4096;  // of what is shown

std::string read_file(const std::string& path, std::size_t most) {
    std::string text;
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return text;
    text.resize(most);
    const ssize_t got = ::read(fd.get(), text.data(), most);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
}

Failure gone(const std::string& message) {
    return Failure::refused(proto::ErrorKind::owner_gone, message);
}

// From the parent of this process up to the first that has exec'd; empty where there is none above pid 1.
std::vector<ProcStat> chain_to_caller() {
    std::vector<ProcStat> chain;
    for (pid_t pid = ::getppid(); pid > 1; pid = chain.back().parent) {
        const auto stat = read_stat(pid);
        if (!stat || stat->is_dead()) return {};
        chain.push_back(*stat);
        if (!stat->is_bare_fork()) return chain;
    }
    return {};
}

bool same_processes(const std::vector<ProcStat>& first, const std::vector<ProcStat>& second) {
    if (first.size() != second.size()) return false;
    for (std::size_t i = 0; i < first.size(); ++i)
        if (first[i].pid != second[i].pid || first[i].start_time != second[i].start_time) return false;
    return true;
}

}  // namespace

std::optional<ProcStat> parse_stat(const std::string& text) {
    // The name stands in brackets and may hold anything, brackets too: the last one ends it.
    const std::size_t end = text.rfind(')');
    if (end == std::string::npos) return std::nullopt;
    ProcStat stat;
    if (std::sscanf(text.c_str(), "%d", &stat.pid) != 1) return std::nullopt;
    const int read =
        std::sscanf(text.c_str() + end + 1,
                    " %c %d %*d %*d %*d %*d %lu %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
                    &stat.state, &stat.parent, &stat.flags, &stat.start_time);
    if (read != 4) return std::nullopt;
    return stat;
}

std::optional<ProcStat> read_stat(pid_t pid) {
    return parse_stat(read_file("/proc/" + std::to_string(pid) + "/stat", 1024));
}

UniqueFd pidfd_of(pid_t pid) {
    return UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool pidfd_send(const UniqueFd& pidfd, int signal) {
    return ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

Outcome<UniqueFd> open_caller() {
    const auto chain = chain_to_caller();
    if (chain.empty()) return gone("the program that called procctl has ended");
    UniqueFd pidfd = pidfd_of(chain.back().pid);
    // Only a chain that still stands proves that the pidfd is the caller's, and not of a stranger with its
    // pid.
    if (!pidfd || !same_processes(chain, chain_to_caller()))
        return gone("the program that called procctl has ended");
    return pidfd;
}

Outcome<UniqueFd> open_process(pid_t pid) {
    UniqueFd pidfd = pidfd_of(pid);
    if (pidfd) return pidfd;
    const int error = errno;
    return gone("there is no process with pid " + std::to_string(pid) + ": " + std::strerror(error));
}

std::vector<ProcStat> descendants_of(pid_t ancestor) {
    std::multimap<pid_t, ProcStat> children;
    DIR* const directory = ::opendir("/proc");
    if (directory == nullptr) return {};
    while (const dirent* entry = ::readdir(directory)) {
        if (std::isdigit(static_cast<unsigned char>(entry->d_name[0])) == 0) continue;
        const auto stat = parse_stat(read_file("/proc/" + std::string(entry->d_name) + "/stat", 1024));
        if (stat) children.emplace(stat->parent, *stat);
    }
    ::closedir(directory);

    std::vector<ProcStat> found;
    std::vector<pid_t> parents{ancestor};
    while (!parents.empty()) {
        const auto [first, last] = children.equal_range(parents.back());
        parents.pop_back();
        for (auto each = first; each != last; ++each) {
            parents.push_back(each->second.pid);
            if (!each->second.is_dead()) found.push_back(each->second);
        }
    }
    return found;
}

std::string command_line_of(pid_t pid) {
    const std::string place = "/proc/" + std::to_string(pid);
    const std::string text = read_file(place + "/cmdline", k_longest_command_line);
    std::vector<proto::Bytes> words;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\0', begin), text.size());
        words.push_back({text.substr(begin, end - begin)});
        begin = end + 1;
    }
    if (!words.empty()) return command_text(words);
    std::string name = read_file(place + "/comm", 64);
    if (name.ends_with('\n')) name.pop_back();
    return escaped(name);
}

}  // namespace procctl
