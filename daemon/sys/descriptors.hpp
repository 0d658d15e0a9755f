#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

// Another descriptor of the same open file, close-on-exec.
Result<UniqueFd> duplicate(int fd);
// One that polls readable for ever.
Result<UniqueFd> readable_for_ever();
// Whether it is ready for that now, or broken.
enum class Ready { to_read, to_write, exceptional };
bool is_ready(int fd, Ready what);
// One that stands for nothing, kept so that there is one to give up when there are no more (/dev/null).
UniqueFd placeholder();

}  // namespace procd::sys
