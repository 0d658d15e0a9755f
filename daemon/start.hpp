#pragma once

#include <string>
#include <vector>

#include "daemon/options.hpp"

namespace procd {

// Takes the socket, finds the containment, serves until told to stop. The exit status: 0 after an orderly
// stop, 3 where everything was left to the procd that starts next, 1 where it could not start (told on
// stderr). arguments: command_line(), for the next program.
int start_and_serve(const Options& options, std::vector<std::string> arguments);

}  // namespace procd
