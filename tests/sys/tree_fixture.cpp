#include "tests/sys/tree_fixture.hpp"

#include <algorithm>

#include "daemon/sys/signals.hpp"

namespace support {

void Trees::reap_adopted_but_mains() {
    procd::sys::reap_orphans([this](pid_t pid) {
        return std::any_of(children_.begin(), children_.end(),
                           [pid](const auto& child) { return child->pid() == pid; });
    });
}

}  // namespace support
