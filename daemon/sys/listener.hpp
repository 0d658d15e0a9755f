#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

struct ListenerConfig {
    std::string path;           // of the socket
    mode_t mode = 0600;         // of the socket
    std::string group{};        // of the socket; empty: procd's own
    bool make_parents = false;  // make what is missing above the socket's directory too
};

// procd's socket in the file system. One procd a socket: "<path>.lock" is held by flock(2) for life, so there
// is never a question of who serves it, and nobody is asked by connecting. The socket's directory is made if
// it is missing (0700, for root 0755). What lies at the path and is no socket is never removed.
class Listener {
  public:
    static Result<Listener> open(const ListenerConfig& config);
    // A listening socket that systemd passed: its file is systemd's, neither locked nor removed here.
    static Result<Listener> adopt(UniqueFd socket);
    // A socket and lock that this process held before it replaced itself with another program.
    static Result<Listener> resume(const ListenerConfig& config, UniqueFd socket, UniqueFd lock);

    Listener(Listener&&) noexcept = default;
    Listener& operator=(Listener&&) = delete;
    // Removes the socket if it is still this one, and then the lock file.
    ~Listener();

    int fd() const { return socket_.get(); }
    int lock_fd() const { return lock_.get(); }  // -1 for an adopted one
    const std::string& path() const { return config_.path; }

    // Whether the path still leads to this socket.
    bool in_place() const;
    // Not where its file is systemd's.
    bool may_rebind() const { return static_cast<bool>(lock_); }
    // Binds again where the socket was removed. fd() is another one afterwards.
    Result<void> rebind();
    // Readable when something was removed from or renamed in the directory, or the directory itself. Empty:
    // not possible.
    UniqueFd watch() const;

    // Closes without removing anything: the files go on to be served by another program in this process.
    void leave();

  private:
    Listener() = default;
    Result<void> take_lock();
    Result<void> bind();
    bool note_place();

    ListenerConfig config_;
    UniqueFd lock_;
    UniqueFd socket_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

// The next connection, non-blocking and close-on-exec. SysError with EAGAIN where there is none.
Result<UniqueFd> accept(int listen_fd);

}  // namespace procd::sys
