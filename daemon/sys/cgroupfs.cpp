#include "daemon/sys/cgroupfs.hpp"

#include <cerrno>
#include <charconv>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/sys/process_self.hpp"
#include "daemon/sys/procfs.hpp"

namespace procd::sys {
namespace {

constexpr int k_max_kill_passes =
    32;  // where cgroup.kill is missing; the group is frozen, so one mostly does

struct CgroupMount {
    std::string root;  // what of the hierarchy is mounted
    std::string point;
};

// Spaces and the like are written as \040.
std::string unescape_octal(std::string_view text) {
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        unsigned code = 0;
        if (text[i] == '\\' && i + 3 < text.size() &&
            std::from_chars(text.data() + i + 1, text.data() + i + 4, code, 8).ptr == text.data() + i + 4) {
            plain += static_cast<char>(code);
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t at = text.find(separator);
        parts.push_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

std::vector<CgroupMount> cgroup_mounts(std::string_view mountinfo) {
    std::vector<CgroupMount> mounts;
    for (const std::string_view line : split(mountinfo, '\n')) {
        // id parent major:minor root point options [optional …] - type source options
        const auto words = split(line, ' ');
        for (std::size_t i = 6; i + 1 < words.size(); ++i) {
            if (words[i] != "-") continue;
            if (words[i + 1] == "cgroup2")
                mounts.push_back({unescape_octal(words[3]), unescape_octal(words[4])});
            break;
        }
    }
    return mounts;
}

// What is left of path below base, with its leading slash; "" for base itself.
std::optional<std::string> below(std::string_view path, std::string_view base) {
    if (!is_within(path, base)) return std::nullopt;
    if (base == "/") return path == "/" ? std::string{} : std::string(path);
    return std::string(path.substr(base.size()));
}

std::string joined(const std::string& base, const std::string& rest) {
    if (rest.empty()) return base;
    return base == "/" ? rest : base + rest;
}

bool write_file(const std::string& path, std::string_view text) {
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return file && ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

void collect_groups(const std::string& directory, std::vector<std::string>& groups) {
    for (const std::string& child : child_groups(directory)) collect_groups(child, groups);
    groups.push_back(directory);
}

// Whether the group has no groups in it: the usual case, which the number of links tells without a listing.
bool is_leaf(const std::string& directory) {
    struct stat status {};
    return ::stat(directory.c_str(), &status) == 0 && status.st_nlink == 2;
}

void append_processes(const std::string& directory, std::vector<pid_t>& pids) {
    const auto text = read_kernel_file(directory + "/cgroup.procs", 64 << 20);
    if (!text) return;
    for (const std::string_view line : split(*text, '\n')) {
        pid_t pid = 0;
        // 0 is a process that this pid namespace cannot name.
        if (std::from_chars(line.data(), line.data() + line.size(), pid).ec == std::errc{} && pid > 0) {
            pids.push_back(pid);
        }
    }
}

}  // namespace

bool is_within(std::string_view path, std::string_view group) {
    if (group == "/") return !path.empty() && path.front() == '/';
    return path.substr(0, group.size()) == group &&
           (path.size() == group.size() || path[group.size()] == '/');
}

Result<CgroupPlace> find_own_group(std::string_view mountinfo, std::string_view own_path) {
    const auto mounts = cgroup_mounts(mountinfo);
    if (mounts.empty()) return SysError{"find a cgroup2 mount in", "/proc/self/mountinfo", ENOENT};
    for (const CgroupMount& mount : mounts) {
        if (const auto rest = below(own_path, mount.root)) {
            return CgroupPlace{joined(mount.point, *rest), std::string(own_path)};
        }
    }
    return SysError{"find procd's own cgroup in " + mounts.front().point, std::string(own_path), ENOENT};
}

Result<CgroupPlace> find_own_group() {
    const auto mountinfo = read_kernel_file("/proc/self/mountinfo", 64 << 20);
    const auto own = cgroup_of(::getpid());
    if (!mountinfo) return mountinfo.error();
    if (!own) return own.error();
    return find_own_group(*mountinfo, *own);
}

Result<CgroupPlace> place_of_directory(std::string_view mountinfo, const std::string& directory) {
    for (const CgroupMount& mount : cgroup_mounts(mountinfo)) {
        if (const auto rest = below(directory, mount.point)) {
            return CgroupPlace{directory, joined(mount.root, *rest)};
        }
    }
    return SysError{"find a cgroup2 mount of", directory, ENOENT};
}

Result<CgroupPlace> place_of_directory(const std::string& directory) {
    const auto mountinfo = read_kernel_file("/proc/self/mountinfo", 64 << 20);
    if (!mountinfo) return mountinfo.error();
    return place_of_directory(*mountinfo, directory);
}

Result<CgroupPlace> find_group(const std::string& directory) {
    std::string named = directory;
    if (!directory.starts_with('/')) {
        const auto own = find_own_group();
        if (!own) return own.error();
        named = own->directory + "/" + directory;
    }
    // The kernel's names of groups have neither ".." nor symbolic links.
    const auto real = real_path(named);
    if (!real) return SysError{"find the cgroup", named, errno};
    return place_of_directory(*real);
}

bool is_populated(const std::string& directory) {
    const auto text = read_kernel_file(directory + "/cgroup.events");
    // Only a group that is gone is known to be empty: one that cannot be read (EMFILE, ENOMEM) is asked
    // again.
    if (!text) return text.error().error != ENOENT && text.error().error != ENODEV;
    return text->find("populated 1") != std::string::npos;
}

UniqueFd watch_events(const std::string& directory) {
    UniqueFd events(::open((directory + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
    char text[256];
    if (events && ::read(events.get(), text, sizeof text) < 0) events.reset();
    return events;
}

std::vector<std::string> child_groups(const std::string& directory) {
    std::vector<std::string> children;
    DIR* const opened = ::opendir(directory.c_str());
    if (opened == nullptr) return children;
    const std::unique_ptr<DIR, void (*)(DIR*)> owner(opened, [](DIR* open) { ::closedir(open); });
    while (const dirent* entry = ::readdir(opened)) {
        const std::string_view name = entry->d_name;
        if (entry->d_type == DT_DIR && name != "." && name != "..")
            children.push_back(directory + "/" + entry->d_name);
    }
    return children;
}

std::vector<std::string> groups_below(const std::string& directory) {
    std::vector<std::string> groups;
    if (is_leaf(directory)) {
        groups.push_back(directory);
    } else {
        collect_groups(directory, groups);
    }
    return groups;
}

std::vector<pid_t> processes_in(const std::string& directory) {
    std::vector<pid_t> pids;
    for (const std::string& group : groups_below(directory)) append_processes(group, pids);
    return pids;
}

void kill_group(const std::string& directory, const std::function<void(pid_t)>& kill_one) {
    if (!write_file(directory + "/cgroup.kill", "1")) kill_group_one_by_one(directory, kill_one);
}

void kill_group_one_by_one(const std::string& directory, const std::function<void(pid_t)>& kill_one) {
    write_file(directory + "/cgroup.freeze", "1");
    for (int pass = 0; pass < k_max_kill_passes; ++pass) {
        const auto pids = processes_in(directory);
        if (pids.empty()) break;
        for (const pid_t pid : pids) kill_one(pid);
    }
    write_file(directory + "/cgroup.freeze", "0");
}

bool remove_group(const std::string& directory) {
    if (::rmdir(directory.c_str()) == 0 || errno == ENOENT) return true;
    for (const std::string& group : groups_below(directory)) ::rmdir(group.c_str());
    return ::access(directory.c_str(), F_OK) != 0;
}

}  // namespace procd::sys
