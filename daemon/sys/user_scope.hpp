#pragma once

#include "base/result.hpp"

namespace procd::sys {

// Has the user's own systemd put this process into a scope of its own, "procd-<pid>.scope", where it may make
// control groups (Delegate=yes). For who may not where it is, such as a login's session. Waits for it, five
// seconds at most. Fails where there is no such systemd. org.freedesktop.systemd1(5), StartTransientUnit.
Result<void> enter_user_scope();

}  // namespace procd::sys
