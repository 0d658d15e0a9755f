#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <sys/types.h>

#include "base/unique_fd.hpp"

namespace procd::sys {

// Closing the last descriptor of a file can take as long as whoever brought it likes: a socket lingers, a
// file system does not answer, a long file that was unlinked is let go. So what a client brought is closed on
// a thread of that user's, which lives as long as there is something to close: nobody else waits, and each
// user has one thread at most. What is closed in no time (a pipe, /dev/null) is closed at once; so is all
// where there is no memory or no thread to be had.

// counted: one less once it is really closed. Null: it is not counted.
using DescriptorsHeld = std::shared_ptr<std::atomic<std::size_t>>;
void close_elsewhere(uid_t user, UniqueFd fd, DescriptorsHeld counted = nullptr) noexcept;
// Takes in what a client has sent that nobody will read. Else the kernel would close the descriptors in it,
// on the thread that closes the socket. Nothing more can be sent to it.
void discard_input(uid_t user, int socket) noexcept;
// Until all is closed that was to be, as long as the limit at most.
void await_closing(std::chrono::milliseconds limit);

}  // namespace procd::sys
