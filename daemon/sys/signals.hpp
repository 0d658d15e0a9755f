#pragma once

#include <functional>
#include <optional>
#include <sys/types.h>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

// At the start, before any thread: what the starter ignored or blocked is not procd's. SIGPIPE is ignored
// from here on.
void reset_signals();

// SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2 and SIGCHLD, blocked in the calling thread (and those it starts
// later) and read from a descriptor.
Result<UniqueFd> open_signals();
// The next one; empty: none is waiting.
std::optional<int> read_signal(int signals);

// Orphans of the whole machine below procd come to procd.
Result<void> become_subreaper();

// Reaps what procd adopted and what has ended, after a SIGCHLD. Mains are left to their pidfd, and so is what
// a spawner thread has just cloned. Returns how many.
std::size_t reap_orphans(const std::function<bool(pid_t)>& is_main);
// A child of this process that has ended and waits to be reaped; 0: none. It stays so.
pid_t peek_ended_child();
// False: it has not ended, or is no child.
bool reap_pid(pid_t pid);

}  // namespace procd::sys
