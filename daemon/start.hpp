#pragma once

#include "daemon/options.hpp"

namespace procd {

// Takes the socket, finds the containment, serves until told to stop. The exit status: 0 after an orderly
// stop, 1 where it could not start (told on stderr).
int start_and_serve(const Options& options);

}  // namespace procd
