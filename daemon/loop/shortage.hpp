#pragma once

#include "base/result.hpp"
#include "daemon/core/types.hpp"

namespace procd::loop {

// A system call failed because procd, the user or the machine has no more of something
// (SysError::is_shortage): that is said, and never taken for an answer about what was looked at.
inline core::Refusal refuse_for_shortage(const SysError& error) {
    return {core::RefusalKind::limit,
            "procd is out of descriptors or memory: " + error.message(),
            {},
            {},
            error.error};
}

}  // namespace procd::loop
