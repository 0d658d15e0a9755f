#include "daemon/sys/peer.hpp"

#include <cerrno>
#include <sys/socket.h>

#include "daemon/sys/pidfd.hpp"
#include "daemon/sys/procfs.hpp"

namespace procd::sys {
namespace {

constexpr int k_so_peerpidfd = 77;  // since Linux 6.5, newer than the headers

Result<std::vector<gid_t>> peer_groups(int socket) {
    std::vector<gid_t> groups(32);
    for (;;) {
        socklen_t bytes = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
        if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &bytes) == 0) {
            groups.resize(bytes / sizeof(gid_t));
            return groups;
        }
        // The kernel says how much it wants.
        if (errno != ERANGE || bytes <= groups.size() * sizeof(gid_t)) {
            return SysError{"getsockopt", "SO_PEERGROUPS", errno};
        }
        groups.resize(bytes / sizeof(gid_t));
    }
}

}  // namespace

Result<Peer> peer_of(int socket) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
        return SysError{"getsockopt", "SO_PEERCRED", errno};
    }
    auto groups = peer_groups(socket);
    if (!groups) return groups.error();
    return Peer{credentials.pid, credentials.uid, credentials.gid, std::move(*groups)};
}

Result<UniqueFd> peer_pidfd(int socket, const Peer& peer, PeerPidfd how) {
    if (how == PeerPidfd::best) {
        int fd = -1;
        socklen_t size = sizeof fd;
        if (::getsockopt(socket, SOL_SOCKET, k_so_peerpidfd, &fd, &size) == 0) return UniqueFd(fd);
        if (errno != ENOPROTOOPT) return SysError{"getsockopt", "SO_PEERPIDFD", errno};
    }
    if (peer.pid <= 0) return SysError{"pidfd_open", "the peer (in another pid namespace)", ESRCH};
    auto pidfd = open_pidfd(peer.pid);
    if (!pidfd) return pidfd;
    const auto uid = effective_uid_of(peer.pid);
    if (!uid && uid.error().is_shortage()) return uid.error();
    if (has_exited(pidfd->get()) || !uid || *uid != peer.uid) {
        return SysError{"pidfd_open", std::to_string(peer.pid), ESRCH};
    }
    return pidfd;
}

bool supports_peer_pidfd() {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return false;
    const UniqueFd one(pair[0]);
    const UniqueFd other(pair[1]);
    int fd = -1;
    socklen_t size = sizeof fd;
    const bool supported = ::getsockopt(one.get(), SOL_SOCKET, k_so_peerpidfd, &fd, &size) == 0;
    const UniqueFd pidfd(supported ? fd : -1);
    return supported;
}

}  // namespace procd::sys
