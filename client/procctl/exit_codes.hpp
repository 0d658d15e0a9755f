#pragma once

#include "proto/process_object.hpp"

// What procctl exits with. A child may exit with 124 to 127, too; --json tells them apart.
namespace procctl {

enum ExitCode : int {
    k_done = 0,
    k_refused = 1,  // by procd; or stdout could not be written
    k_usage = 2,
    k_not_now = 3,  // not alive; no pid or exit code yet; not inside a process
    k_unknown = 4,  // no such process
    k_timed_out = 124,
    k_out_of_reach = 125,  // procd is, or makes no sense; or how the process ended was lost
    k_cannot_execute = 126,
    k_not_found = 127,
    k_signalled = 128,  // + the signal's number
};

// The status of a process that ended, as a shell would tell it.
inline int exit_status(const procd::proto::ProcessObject& process) {
    if (!process.exitcode) return k_out_of_reach;
    return static_cast<int>(*process.exitcode < 0 ? k_signalled - *process.exitcode : *process.exitcode);
}

}  // namespace procctl
