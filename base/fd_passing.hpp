#pragma once

#include <cstddef>
#include <span>
#include <sys/types.h>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd {

constexpr std::size_t k_max_fds_a_message = 253;  // the kernel's SCM_MAX_FD
constexpr ssize_t k_would_block = -1;

struct Received {
    ssize_t bytes = 0;          // 0: the end; k_would_block: nothing there yet
    std::vector<UniqueFd> fds;  // close-on-exec
    bool truncated = false;     // the kernel had to drop descriptors: this process has too many open
};

// Never waits. What a connection that was reset still says is an error (ECONNRESET).
Result<Received> receive_with_fds(int socket, std::span<char> buffer);
// Never waits, never raises SIGPIPE. The descriptors travel with the first byte; k_would_block: nothing was
// sent.
Result<ssize_t> send_with_fds(int socket, std::span<const char> bytes, std::span<const int> fds);
// Whether the other side is gone altogether; one that only shut down its writing is not.
bool hung_up(int socket);

}  // namespace procd
