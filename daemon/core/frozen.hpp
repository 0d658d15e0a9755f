#pragma once

#include <optional>
#include <vector>

#include "daemon/core/owner.hpp"
#include "daemon/core/saved.hpp"
#include "daemon/core/waits.hpp"

namespace procd::core {

// All that the core knows, between two programs in the same process: what it is connected to goes on as well.
struct Frozen {
    struct PendingWait {
        Wait wait;
        std::optional<Mono> deadline;
    };

    Saved saved;
    std::vector<Process> closed;  // records that only pending waits still name
    std::vector<Session> sessions;
    std::vector<PendingWait> waits;
};

}  // namespace procd::core
