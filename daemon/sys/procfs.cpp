#include "daemon/sys/procfs.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/unique_fd.hpp"

namespace procd::sys {
namespace {

constexpr unsigned k_pf_exiting = 0x00000004;
constexpr unsigned k_pf_forknoexec = 0x00000040;
constexpr unsigned k_pf_kthread = 0x00200000;
constexpr std::size_t k_environment_bytes = 8 << 20;  // more than execve takes

std::string proc_path(pid_t pid, const char* file) {
    return "/proc/" + std::to_string(pid) + "/" + file;
}

SysError unreadable(pid_t pid, const char* file) {
    return SysError{"understand", proc_path(pid, file), EPROTO};
}

template <class Number>
bool to_number(std::string_view text, Number& number, int base = 10) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return error == std::errc{} && end == text.data() + text.size();
}

struct CloseDirectory {
    void operator()(DIR* directory) const { ::closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

// The entries of a directory that are numbers.
std::vector<pid_t> numbers_in(const std::string& path) {
    std::vector<pid_t> numbers;
    const Directory directory(::opendir(path.c_str()));
    if (!directory) return numbers;
    while (const dirent* entry = ::readdir(directory.get())) {
        pid_t number = 0;
        if (to_number(std::string_view(entry->d_name), number)) numbers.push_back(number);
    }
    return numbers;
}

std::vector<pid_t> parse_pids(std::string_view text) {
    std::vector<pid_t> pids;
    while (!text.empty()) {
        const std::size_t space = text.find(' ');
        pid_t pid = 0;
        if (to_number(text.substr(0, space), pid)) pids.push_back(pid);
        if (space == std::string_view::npos) break;
        text.remove_prefix(space + 1);
    }
    return pids;
}

// The value of "Name:\t…" in a file like /proc/PID/status.
std::optional<std::string_view> field(std::string_view text, std::string_view name) {
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view line = text.substr(0, end);
        if (line.size() > name.size() && line.substr(0, name.size()) == name && line[name.size()] == ':') {
            const std::size_t value = line.find_first_not_of(" \t", name.size() + 1);
            return value == std::string_view::npos ? std::string_view{} : line.substr(value);
        }
        if (end == std::string_view::npos) break;
        text.remove_prefix(end + 1);
    }
    return std::nullopt;
}

}  // namespace

bool ProcessStat::is_exiting() const {
    return (flags & k_pf_exiting) != 0 || is_dead();
}
bool ProcessStat::never_execed() const {
    return (flags & k_pf_forknoexec) != 0;
}
bool ProcessStat::is_kernel_thread() const {
    return (flags & k_pf_kthread) != 0;
}

Result<std::string> read_kernel_file(const std::string& path, std::size_t limit) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
    if (!file) return SysError{"open", path, errno};
    std::string content;
    char buffer[4096];
    while (content.size() < limit) {
        const ssize_t got = ::read(file.get(), buffer, std::min(sizeof buffer, limit - content.size()));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return SysError{"read", path, errno};
        if (got == 0) break;
        content.append(buffer, static_cast<std::size_t>(got));
    }
    return content;
}

std::optional<ProcessStat> parse_stat(std::string_view text) {
    // "4242 (any (thing) at all) S 1 …": the name may hold parentheses and spaces, what follows it may not.
    const std::size_t open = text.find('(');
    const std::size_t close = text.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open || open < 2) {
        return std::nullopt;
    }
    ProcessStat stat;
    if (!to_number(text.substr(0, open - 1), stat.pid)) return std::nullopt;
    stat.comm = text.substr(open + 1, close - open - 1);

    std::string_view rest = text.substr(close + 1);
    for (int number = 3; number <= 22; ++number) {
        const std::size_t begin = rest.find_first_not_of(" \n");
        if (begin == std::string_view::npos) return std::nullopt;
        rest.remove_prefix(begin);
        const std::string_view word = rest.substr(0, rest.find_first_of(" \n"));
        rest.remove_prefix(word.size());
        bool good = true;
        if (number == 3) stat.state = word.front();
        if (number == 4) good = to_number(word, stat.ppid);
        if (number == 6) good = to_number(word, stat.session);
        if (number == 9) good = to_number(word, stat.flags);
        if (number == 22) good = to_number(word, stat.start_time);
        if (!good) return std::nullopt;
    }
    return stat;
}

std::optional<int> parse_exit_status(std::string_view stat_text) {
    while (stat_text.ends_with('\n')) stat_text.remove_suffix(1);
    const std::size_t last = stat_text.rfind(' ');
    int status = 0;
    if (last == std::string_view::npos || !to_number(stat_text.substr(last + 1), status)) return std::nullopt;
    return status;
}

Result<ProcessStat> read_stat(pid_t pid) {
    const auto text = read_kernel_file(proc_path(pid, "stat"));
    if (!text) return text.error();
    auto stat = parse_stat(*text);
    if (!stat) return unreadable(pid, "stat");
    return std::move(*stat);
}

std::vector<pid_t> all_pids() {
    return numbers_in("/proc");
}

std::vector<pid_t> children_of(pid_t pid) {
    const std::string tasks = proc_path(pid, "task");
    std::vector<pid_t> children;
    for (const pid_t thread : numbers_in(tasks)) {
        if (const auto list = read_kernel_file(tasks + "/" + std::to_string(thread) + "/children")) {
            const auto pids = parse_pids(*list);
            children.insert(children.end(), pids.begin(), pids.end());
        }
    }
    return children;
}

std::vector<pid_t> adopted_children() {
    const pid_t self = ::getpid();
    if (const auto list =
            read_kernel_file("/proc/self/task/" + std::to_string(self) + "/children", 64 << 20)) {
        return parse_pids(*list);
    }
    std::vector<pid_t> children;
    for (const pid_t pid : all_pids()) {
        const auto stat = read_stat(pid);
        if (stat && stat->ppid == self && !stat->never_execed()) children.push_back(pid);
    }
    return children;
}

bool thread_is_childless() {
    const auto list = read_kernel_file("/proc/thread-self/children");
    return list && parse_pids(*list).empty();
}

std::optional<std::string> environment_value(pid_t pid, std::string_view name) {
    const auto text = read_kernel_file(proc_path(pid, "environ"), k_environment_bytes);
    if (!text) return std::nullopt;
    std::string_view rest = *text;
    while (!rest.empty()) {
        const std::size_t end = rest.find('\0');
        const std::string_view entry = rest.substr(0, end);
        if (entry.size() > name.size() && entry[name.size()] == '=' && entry.substr(0, name.size()) == name) {
            return std::string(entry.substr(name.size() + 1));
        }
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
    }
    return std::nullopt;
}

Result<std::string> cgroup_of(pid_t pid) {
    const auto text = read_kernel_file(proc_path(pid, "cgroup"));
    if (!text) return text;
    std::string_view rest = *text;
    while (!rest.empty()) {
        const std::size_t end = rest.find('\n');
        const std::string_view line = rest.substr(0, end);
        if (line.substr(0, 3) == "0::") return std::string(line.substr(3));
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
    }
    return unreadable(pid, "cgroup");
}

bool is_owned_by(pid_t pid, uid_t uid) {
    struct stat status {};
    return ::stat(("/proc/" + std::to_string(pid)).c_str(), &status) == 0 && status.st_uid == uid;
}

Result<Uids> uids_of(pid_t pid) {
    const auto text = read_kernel_file(proc_path(pid, "status"));
    if (!text) return text.error();
    std::string_view rest = field(*text, "Uid").value_or("");
    uid_t ids[3] = {};
    for (uid_t& id : ids) {
        const std::size_t end = std::min(rest.find('\t'), rest.size());
        if (!to_number(rest.substr(0, end), id)) return unreadable(pid, "status");
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return Uids{ids[0], ids[1], ids[2]};
}

Result<uid_t> effective_uid_of(pid_t pid) {
    const auto ids = uids_of(pid);
    if (!ids) return ids.error();
    return ids->effective;
}

Result<bool> may_signal(pid_t pid, uid_t uid) {
    const auto ids = uids_of(pid);
    if (!ids) return ids.error();
    return ids->real == uid || ids->saved == uid;
}

Result<Restrictions> restrictions_of(pid_t pid) {
    const auto text = read_kernel_file(proc_path(pid, "status"));
    if (!text) return text.error();
    Restrictions restrictions;
    restrictions.no_new_privs = field(*text, "NoNewPrivs").value_or("0") != "0";
    to_number(field(*text, "Seccomp").value_or("0"), restrictions.seccomp);
    return restrictions;
}

Result<std::uint64_t> namespace_of(pid_t pid, const std::string& kind) {
    const std::string path = proc_path(pid, ("ns/" + kind).c_str());
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return SysError{"stat", path, errno};
    return static_cast<std::uint64_t>(status.st_ino);
}

}  // namespace procd::sys
