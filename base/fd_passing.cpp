#include "base/fd_passing.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>

namespace procd {
namespace {

struct ControlBuffer {
    alignas(cmsghdr) std::array<char, CMSG_SPACE(k_max_fds_a_message * sizeof(int))> bytes;
};

void take_descriptors(msghdr& message, std::vector<UniqueFd>& fds) {
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd = -1;
            std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            fds.emplace_back(fd);
        }
    }
}

}  // namespace

Result<Received> receive_with_fds(int socket, std::span<char> buffer) {
    ControlBuffer control;
    iovec vector{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    ssize_t bytes;
    do {
        bytes = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (bytes < 0 && errno == EINTR);

    Received received;
    if (bytes < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK) return SysError{"recvmsg", "", errno};
        received.bytes = k_would_block;
        return received;
    }
    received.bytes = bytes;
    take_descriptors(message, received.fds);
    received.truncated = (message.msg_flags & MSG_CTRUNC) != 0;
    return received;
}

Result<ssize_t> send_with_fds(int socket, std::span<const char> bytes, std::span<const int> fds) {
    if (fds.size() > k_max_fds_a_message)
        return SysError{"sendmsg", std::to_string(fds.size()) + " descriptors", EINVAL};
    ControlBuffer control;
    iovec vector{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        control.bytes.fill(0);
        message.msg_control = control.bytes.data();
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    ssize_t sent;
    do {
        sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0) return sent;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return k_would_block;
    return SysError{"sendmsg", "", errno};
}

bool hung_up(int socket) {
    pollfd poller{socket, 0, 0};
    return ::poll(&poller, 1, 0) == 1 && (poller.revents & (POLLHUP | POLLERR)) != 0;
}

}  // namespace procd
