#pragma once

#include "base/result.hpp"
#include "daemon/sys/cgroupfs.hpp"

namespace procd::sys {

// Makes the group of this instance, "procd-<pid>" (or "procd-<pid>-<n>") below base, and makes sure by trying
// it that a process can be born below it. What instances that are gone left behind empty is removed.
Result<CgroupPlace> make_instance_group(const CgroupPlace& base);

}  // namespace procd::sys
