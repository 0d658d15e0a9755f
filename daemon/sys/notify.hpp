#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"

namespace procd::sys {

// What the service manager that started procd passed and wants to hear. Children never see its variables:
// their environment is made from their plan.

// The sockets passed, close-on-exec. Once only: the variables are unset.
std::vector<UniqueFd> listen_fds();
// "READY=1", "STOPPING=1\nSTATUS=…". Nothing happens where nobody listens.
void notify(const std::string& state);
// Whether somebody listens.
bool has_service_manager();
// In which time it must hear from procd again and again (WatchdogSec=); none: it does not ask for that.
std::optional<std::chrono::microseconds> watchdog_limit();

// Whether what procd writes to stderr goes to the journal. JOURNAL_STREAM alone does not say so: whoever
// is started from a service inherits it, with a terminal or a file as its stderr.
bool stderr_is_journal();

// Writes a newline to a descriptor that procd's starter waits on, and closes it.
void tell_ready(int fd);

}  // namespace procd::sys
