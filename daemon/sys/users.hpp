#pragma once

#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

namespace procd::sys {

// The user database. It may ask a network service, so these can wait: for the spawner's threads and the
// start.

struct UserInfo {
    std::string name;
    uid_t uid = 0;
    gid_t gid = 0;
    std::string home;
    std::string shell;
};

std::optional<UserInfo> user_of(uid_t uid);
std::optional<UserInfo> user_named(const std::string& name);
// The primary group and all others.
std::vector<gid_t> groups_of(const UserInfo& user);
std::optional<gid_t> gid_of_group(const std::string& name);

}  // namespace procd::sys
