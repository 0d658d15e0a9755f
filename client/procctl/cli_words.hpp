#pragma once

#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace procctl {

// Whether the value of this argument is the next one: `--name foo`, `-s PATH`, but not `--name=foo`,
// `-sPATH`.
bool wants_next(const CLI::App& app, const std::string& argument);

// The arguments of a verb, told apart: options with their values, and words.
struct SplitArguments {
    std::vector<std::string> options;
    std::vector<std::string> words;
};

// With `command`, options end at the first word: all from there on is the command's. "--" ends them in any
// case. The words never see CLI11, which would take "[a,b]" for a list and a second "--" for its own.
SplitArguments split_arguments(const CLI::App& app, const std::vector<std::string>& arguments, bool command);

}  // namespace procctl
