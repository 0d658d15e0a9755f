#pragma once

#include "client/lib/deadline.hpp"
#include "client/procctl/signals.hpp"

namespace procctl {

// Ends what descends from procctl: what a command left behind by a plain `&`. Each is named on stderr, gets
// SIGTERM, and SIGKILL after 10 s; new ones are looked for until there are none. `count` is how many there
// were. `on_signal` is given each signal, SIGCHLD too, and reaps.
Waited end_strays(SignalSource& signals, procd::client::Deadline deadline,
                  const std::function<bool(int)>& on_signal, std::size_t& count);

}  // namespace procctl
