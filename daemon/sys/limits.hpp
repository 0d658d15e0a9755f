#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <sys/types.h>
#include <vector>

#include "base/result.hpp"
#include "daemon/sys/spawn.hpp"

namespace procd::sys {

// RLIMIT_NOFILE is "nofile".
struct LimitName {
    std::string_view name;
    int resource;
};
std::span<const LimitName> limit_names();
std::optional<int> resource_named(std::string_view name);
std::string_view name_of_resource(int resource);  // empty: unknown

// procd wants many descriptors, its children what they would have had: sets soft to hard, and returns what
// was before.
Result<ResourceLimit> raise_nofile();
// The limits of another process.
Result<std::vector<ResourceLimit>> limits_of(pid_t pid);
// From the text of /proc/PID/limits, where the kernel does not answer directly.
std::vector<ResourceLimit> parse_limits(std::string_view text);

}  // namespace procd::sys
