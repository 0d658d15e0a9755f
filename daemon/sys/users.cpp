#include "daemon/sys/users.hpp"

#include <cerrno>
#include <grp.h>
#include <pwd.h>

namespace procd::sys {
namespace {

constexpr std::size_t k_max_entry_bytes = 4 << 20;  // an entry larger than that is taken for absent

// Calls lookup(buffer, size) with more and more room.
template <class Lookup>
int with_buffer(Lookup lookup) {
    std::vector<char> buffer(4096);
    for (;;) {
        const int error = lookup(buffer.data(), buffer.size());
        if (error != ERANGE || buffer.size() >= k_max_entry_bytes) return error;
        buffer.resize(buffer.size() * 4);
    }
}

UserInfo to_info(const passwd& entry) {
    return UserInfo{entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_shell};
}

}  // namespace

std::optional<UserInfo> user_of(uid_t uid) {
    std::optional<UserInfo> info;
    with_buffer([&](char* buffer, std::size_t size) {
        passwd entry{};
        passwd* found = nullptr;
        const int error = ::getpwuid_r(uid, &entry, buffer, size, &found);
        if (found != nullptr) info = to_info(*found);
        return error;
    });
    return info;
}

std::optional<UserInfo> user_named(const std::string& name) {
    std::optional<UserInfo> info;
    with_buffer([&](char* buffer, std::size_t size) {
        passwd entry{};
        passwd* found = nullptr;
        const int error = ::getpwnam_r(name.c_str(), &entry, buffer, size, &found);
        if (found != nullptr) info = to_info(*found);
        return error;
    });
    return info;
}

std::vector<gid_t> groups_of(const UserInfo& user) {
    std::vector<gid_t> groups(64);
    for (;;) {
        int count = static_cast<int>(groups.size());
        const int result = ::getgrouplist(user.name.c_str(), user.gid, groups.data(), &count);
        if (result >= 0) {
            groups.resize(static_cast<std::size_t>(count));
            return groups;
        }
        if (static_cast<std::size_t>(count) <= groups.size()) return {user.gid};
        groups.resize(static_cast<std::size_t>(count));
    }
}

std::optional<gid_t> gid_of_group(const std::string& name) {
    std::optional<gid_t> gid;
    with_buffer([&](char* buffer, std::size_t size) {
        group entry{};
        group* found = nullptr;
        const int error = ::getgrnam_r(name.c_str(), &entry, buffer, size, &found);
        if (found != nullptr) gid = found->gr_gid;
        return error;
    });
    return gid;
}

}  // namespace procd::sys
