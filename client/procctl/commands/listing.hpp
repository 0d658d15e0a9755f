#pragma once

#include <vector>

#include "client/procctl/context.hpp"

namespace procctl {

// The table of list and status.
int show_table(Context& context, const procd::proto::ListParams& params, const std::vector<int>& fds);

}  // namespace procctl
