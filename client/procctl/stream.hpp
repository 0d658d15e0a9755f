#pragma once

#include <sys/types.h>

#include "base/unique_fd.hpp"

namespace procctl {

// A standard stream of the caller's, to be read or written without ever waiting in the call, and without
// making it non-blocking for those who share it: through an open file of our own where the kernel gives one,
// else after a poll and little at a time.
class Stream {
  public:
    enum class Direction { in, out };
    Stream(int fd, Direction direction);

    int fd() const { return fd_; }
    bool is_terminal() const { return terminal_; }
    // As read(2) and write(2); only after poll(2) said so.
    ssize_t read(char* bytes, std::size_t size) const;
    ssize_t write(const char* bytes, std::size_t size) const;

  private:
    int fd_;
    bool terminal_;
    bool socket_ = false;
    bool small_steps_ = false;
    procd::UniqueFd own_;
};

}  // namespace procctl
