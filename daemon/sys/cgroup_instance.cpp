#include "daemon/sys/cgroup_instance.hpp"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

#include "base/unique_fd.hpp"
#include "daemon/sys/spawn.hpp"

namespace procd::sys {
namespace {

constexpr int k_max_instance_groups = 1000;

// Groups that an instance left which was killed: "procd-<pid>" and "procd-<pid>-<n>" of nobody living. One
// that still holds processes cannot be removed, and is left.
void remove_stale_instances(const CgroupPlace& base) {
    for (const std::string& group : child_groups(base.directory)) {
        const std::string name = group.substr(base.directory.size() + 1);
        if (name.substr(0, 6) != "procd-") continue;
        const std::string pid = name.substr(6, name.find('-', 6) - 6);
        const bool numeric = !pid.empty() && pid.find_first_not_of("0123456789") == std::string::npos;
        if (!numeric || ::access(("/proc/" + pid).c_str(), F_OK) == 0 || is_populated(group)) continue;
        remove_group(group);
    }
}

Result<CgroupPlace> make_group(const CgroupPlace& base) {
    const std::string name = "/procd-" + std::to_string(::getpid());
    const std::string path = base.path == "/" ? "" : base.path;
    for (int n = 1; n <= k_max_instance_groups; ++n) {
        const std::string suffix = n == 1 ? name : name + "-" + std::to_string(n);
        const std::string directory = base.directory + suffix;
        if (::mkdir(directory.c_str(), 0755) == 0) return CgroupPlace{directory, path + suffix};
        if (errno != EEXIST) return SysError{"mkdir", directory, errno};
    }
    return SysError{"mkdir", base.directory + name, EEXIST};
}

// Making a group is not yet to be allowed to put a process into it: that is the right on the common ancestor.
Result<void> probe(const CgroupPlace& instance) {
    const std::string directory = instance.directory + "/probe";
    if (::mkdir(directory.c_str(), 0755) != 0) return SysError{"mkdir", directory, errno};
    const UniqueFd group(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    auto born = group ? probe_birth(group.get()) : Result<void>(SysError{"open", directory, errno});
    ::rmdir(directory.c_str());
    if (!born) return SysError{"start a process in", directory, born.error().error};
    return {};
}

}  // namespace

Result<CgroupPlace> make_instance_group(const CgroupPlace& base) {
    remove_stale_instances(base);
    auto instance = make_group(base);
    if (!instance) return instance;
    if (const auto usable = probe(*instance); !usable) {
        remove_group(instance->directory);
        return usable.error();
    }
    return instance;
}

}  // namespace procd::sys
