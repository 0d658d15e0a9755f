#pragma once

#include "base/unique_fd.hpp"

namespace procd {

// A descriptor that becomes readable when this open file is written to, cut, or loses its name. None: no more
// watches are to be had, or /proc is not there; then it takes a look now and then.
UniqueFd watch_file(int fd);
// Makes it wait for the next change. To be called before the look at the file, so that no change falls
// between the two.
void rearm_watch(int watch);

}  // namespace procd
