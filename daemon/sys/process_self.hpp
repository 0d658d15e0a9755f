#pragma once

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace procd::sys {

// Small facts about this machine and its processes, for people to read.

pid_t own_pid();
uid_t own_uid();  // effective
gid_t own_gid();
std::string boot_id();                           // empty: unknown
std::string comm_of(pid_t pid);                  // empty: gone
std::vector<std::string> command_of(pid_t pid);  // empty: gone, or a zombie
std::optional<std::string> cwd_of(pid_t pid);
// This program's own file, as it is in the file system now.
std::optional<std::string> own_executable();
// Absolute, without "..", symbolic links followed. Empty: it is not there.
std::optional<std::string> real_path(const std::string& path);
std::optional<std::string> environment_variable(const std::string& name);
std::size_t open_descriptors();  // of this process

}  // namespace procd::sys
