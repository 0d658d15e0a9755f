#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

// The files of the unified cgroup hierarchy. A group is named twice: by its directory, and by its path in the
// hierarchy, which /proc/PID/cgroup shows. They differ by where the hierarchy, or a part of it, is mounted.
struct CgroupPlace {
    std::string directory;  // /sys/fs/cgroup/system.slice/x.service
    std::string path;       // /system.slice/x.service
};

// Where procd's own group is, from the text of /proc/self/mountinfo and "0::" of /proc/self/cgroup.
// Of several mounts the first that shows the group.
Result<CgroupPlace> find_own_group(std::string_view mountinfo, std::string_view own_path);
Result<CgroupPlace> find_own_group();
// The same for a directory that somebody names.
Result<CgroupPlace> place_of_directory(std::string_view mountinfo, const std::string& directory);
Result<CgroupPlace> place_of_directory(const std::string& directory);
// The group that somebody names as they see it: a relative name begins at the directory of procd's own group.
Result<CgroupPlace> find_group(const std::string& directory);

// "populated" of cgroup.events: whether the group or one below it has a process that is no zombie.
bool is_populated(const std::string& directory);
// Opens cgroup.events and reads it once, which arms EPOLLPRI.
UniqueFd watch_events(const std::string& directory);
// The groups directly below.
std::vector<std::string> child_groups(const std::string& directory);
// The directory itself and every group below, deepest first.
std::vector<std::string> groups_below(const std::string& directory);
// The processes of a group and of all below it.
std::vector<pid_t> processes_in(const std::string& directory);
// SIGKILL to all of it. Where the kernel has no cgroup.kill: frozen, killed one by one, thawed.
void kill_group(const std::string& directory, const std::function<void(pid_t)>& kill_one);
void kill_group_one_by_one(const std::string& directory, const std::function<void(pid_t)>& kill_one);
// Removes the group and those below. False: something lives in it still.
bool remove_group(const std::string& directory);

// Whether a path in the hierarchy is that group's or below it.
bool is_within(std::string_view path, std::string_view group);

}  // namespace procd::sys
