#pragma once

#include <vector>

#include "client/procctl/context.hpp"

namespace procctl {

// The request for the process that the command line describes.
struct Launch {
    procd::proto::CreateParams params;
    Owner owner;
    std::vector<int> fds;  // that go with it; the owner's pidfd, if any, is the first
};
Outcome<Launch> describe_launch(const Options& options, Owner owner);

// stdin, stdout and stderr that no option names are those of procctl itself.
void pass_own_streams(Launch& launch);

// `null`, `log`, `stdout`, `separate` or a file.
procd::proto::StdioTarget stdio_target(const std::string& text);

}  // namespace procctl
