#pragma once

#include <string>
#include <variant>
#include <vector>

#include "client/procctl/options.hpp"

namespace procctl {

// What to print and exit with instead of doing anything: help, the version, or what is wrong with the command
// line.
struct Answer {
    int status = 0;
    std::string out, err;
};

// The command line without the program's name. Pure.
std::variant<Options, Answer> parse_command_line(const std::vector<std::string>& arguments);

}  // namespace procctl
