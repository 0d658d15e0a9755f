#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

// What the service manager that started procd passed and wants to hear. Children never see its variables:
// their environment is made from their plan.

// Its socket unit's have that unit's name (or FileDescriptorName=), stored ones the name they were stored
// under.
struct PassedDescriptor {
    std::string name;
    UniqueFd fd;
};
// What was passed, close-on-exec: listening sockets, and what an earlier procd of this service had stored.
// Once only: the variables are unset.
std::vector<PassedDescriptor> passed_descriptors();
bool is_listening_socket(int fd);

// The service manager's store (FileDescriptorStoreMax=): it holds a copy of each descriptor while the service
// restarts, crashed or asked to, and drops all of them when it is stopped or has failed. A copy is held
// whatever becomes of what it refers to (FDPOLL=0): a pidfd is worth the most once its process is gone. Names
// are printable ASCII without ':', at most 255 bytes; to store several under one name keeps them all.
//
// Both are one message, and the sender waits where the manager is behind with reading. What the manager does
// with it is not told: it refuses what is more than the unit allows. False: nobody is there to keep it.
Result<bool> store_descriptor(const std::string& name, int fd);
// Drops all of that name.
Result<bool> remove_stored(const std::string& name);
// The name that the pidfd of a process's main is stored under, and the id in such a name; empty: it is
// another's.
std::string stored_pidfd_name(std::int64_t id);
std::optional<std::int64_t> id_of_stored_pidfd(const std::string& name);

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
