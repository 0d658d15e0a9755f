#pragma once

#include <string>

#include "daemon/core/launch_spec.hpp"

namespace procd::core {

// Where the output of such a process goes, in words: "stdout and stderr go to /dev/null".
std::string output_text(const LaunchSpec& spec);

}  // namespace procd::core
