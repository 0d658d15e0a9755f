#pragma once

#include <optional>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "daemon/sys/cgroupfs.hpp"

namespace procd::sys {

// The group of one procd, below which each of its trees has its own. It is locked (flock(2))
// for the life of that procd; one that nobody locks is an earlier procd's.
struct InstanceGroup {
    CgroupPlace place;
    UniqueFd lock;
    std::optional<CgroupPlace> former;  // where the trees of the procd before are, if not in `place`
    UniqueFd former_lock;
};

// Makes or takes over the group of this instance, and makes sure by trying that processes can be born below
// it. The procd before on this socket had former_place, if it is known and there still; else one of that name
// ("procd-<digits of the socket's path>[-<n>]") below base. Groups of instances that are gone and left nobody
// are removed.
Result<InstanceGroup> make_instance_group(const CgroupPlace& base, const std::string& socket_path,
                                          const std::string& former_place);

}  // namespace procd::sys
