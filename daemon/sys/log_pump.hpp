#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "daemon/sys/descriptors.hpp"
#include "daemon/sys/trimmed_log.hpp"

namespace procd::sys {

// A pipe that a child writes its log to. It can open its end anew by name (/dev/stderr), as the user that it
// is.
Result<PipeEnds> make_log_pipe(uid_t uid, gid_t gid);

// Copies what children write to pipes to their logs, on a thread of its own. What the disk does not take is
// dropped, and that is said once: a child must not hang because a disk is full.
class LogPump {
  public:
    using Ticket = std::uint64_t;
    using Drained = std::function<void()>;

    // say: called on the pump's thread.
    explicit LogPump(LogComplaints::Say say);
    // Copies what is in the pipes still.
    ~LogPump();
    LogPump(const LogPump&) = delete;
    LogPump& operator=(const LogPump&) = delete;

    Ticket add(UniqueFd pipe, std::shared_ptr<const UniqueFd> log);
    // Everything that is in the pipe now is copied, then `drained` is called on the pump's thread.
    void drain(Ticket ticket, Drained drained);
    // Waits until the thread stands still, with everything that it has read written: the process can become
    // another program then, and descriptor() is what that goes on with. False: it does not within the limit
    // (a disk that hangs), and goes on.
    bool hold(std::chrono::milliseconds limit);
    void go_on();
    // While it is held: the pipe's read end; -1: at its end.
    int descriptor(Ticket ticket) const;
    // Whoever writes from now on gets SIGPIPE.
    void finish(Ticket ticket);

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace procd::sys
