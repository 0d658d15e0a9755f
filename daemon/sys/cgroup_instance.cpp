#include "daemon/sys/cgroup_instance.hpp"

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/fnv.hpp"
#include "daemon/sys/spawn.hpp"

namespace procd::sys {
namespace {

constexpr int k_max_instance_groups = 1000;

// Of a group that no living procd has locked. By a file that nobody else can open: to open it does nothing.
UniqueFd lock(const std::string& directory) {
    UniqueFd fd(::open((directory + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT) fd.reset(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        fd.reset();
        errno = error;
    }
    return fd;
}

// What instances left that are gone. One that still holds processes is for the next procd on its socket.
void remove_stale_instances(const CgroupPlace& base, const std::string& own) {
    for (const std::string& group : child_groups(base.directory)) {
        const bool is_instance = group.compare(base.directory.size() + 1, 6, "procd-") == 0;
        if (!is_instance || group == own || is_populated(group)) continue;
        if (const UniqueFd held = lock(group)) remove_group(group);
    }
}

// The same for every procd on the socket.
std::string instance_name(const std::string& socket_path) {
    const std::uint64_t hash = fnv1a(socket_path);
    std::array<char, 24> digits{};
    std::snprintf(digits.data(), digits.size(), "%08x", static_cast<unsigned>(hash ^ (hash >> 32)));
    return std::string("/procd-") + digits.data();
}

Result<InstanceGroup> take_group(const CgroupPlace& base, const std::string& socket_path) {
    const std::string name = instance_name(socket_path);
    const std::string path = base.path == "/" ? "" : base.path;
    for (int n = 1; n <= k_max_instance_groups; ++n) {
        const std::string suffix = n == 1 ? name : name + "-" + std::to_string(n);
        const std::string directory = base.directory + suffix;
        if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST)
            return SysError{"mkdir", directory, errno};
        InstanceGroup group;
        group.lock = lock(directory);
        if (!group.lock && errno != EWOULDBLOCK) return SysError{"lock", directory, errno};
        if (!group.lock) continue;
        group.place = {directory, path + suffix};
        return group;
    }
    return SysError{"mkdir", base.directory + name, EEXIST};
}

// Making a group is not yet to be allowed to put a process into it: that is the right on the common ancestor.
Result<void> probe(const CgroupPlace& instance) {
    const std::string directory = instance.directory + "/probe";
    if (::mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) return SysError{"mkdir", directory, errno};
    const UniqueFd group(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    auto born = group ? probe_birth(group.get()) : Result<void>(SysError{"open", directory, errno});
    ::rmdir(directory.c_str());
    if (!born) return SysError{"start a process in", directory, born.error().error};
    return {};
}

}  // namespace

Result<InstanceGroup> make_instance_group(const CgroupPlace& base, const std::string& socket_path,
                                          const std::string& former_place) {
    InstanceGroup former;
    if (!former_place.empty()) {
        if (const auto place = place_of_directory(former_place)) {
            former.lock = lock(former_place);
            former.place = *place;
        }
    }
    if (former.lock && probe(former.place)) {
        remove_stale_instances(base, former.place.directory);
        return former;
    }
    auto instance = take_group(base, socket_path);
    if (!instance) return instance;
    if (const auto usable = probe(instance->place); !usable) {
        if (!is_populated(instance->place.directory)) remove_group(instance->place.directory);
        return usable.error();
    }
    if (former.lock) {
        instance->former = former.place;
        instance->former_lock = std::move(former.lock);
    }
    remove_stale_instances(base, instance->place.directory);
    return instance;
}

}  // namespace procd::sys
