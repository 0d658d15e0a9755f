#pragma once

#include <sys/types.h>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

// Who connected to a UNIX socket, as the kernel noted it at the connect.
struct Peer {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
    std::vector<gid_t> groups;
};

Result<Peer> peer_of(int socket);

enum class PeerPidfd {
    best,    // the kernel's own (SO_PEERPIDFD), where it has that
    by_pid,  // pidfd_open of the peer's pid: what older kernels are left with
};
// A pidfd of the peer. by_pid: ESRCH where the pid is free or belongs to somebody of another uid by now; a
// peer that died just before, and whose pid went to another process of the same user, cannot be told from it.
Result<UniqueFd> peer_pidfd(int socket, const Peer& peer, PeerPidfd how = PeerPidfd::best);
bool supports_peer_pidfd();

}  // namespace procd::sys
