#pragma once

#include <cstdint>

#include "base/unique_fd.hpp"
#include "client/procctl/context.hpp"

namespace procctl {

// When a log that procctl reads by itself is complete: its process and its tree have ended, which procd
// tells. Where procd goes before that, the main process is watched instead.
class LogEnd {
  public:
    // Asks procd to tell.
    static Outcome<LogEnd> watch(Context& context, const procd::proto::ProcessObject& process);

    // Nobody writes to the log any more, or nothing is known about that any more.
    bool over() const { return over_; }
    // procd went, and the main process could not be watched.
    bool lost() const { return lost_; }
    // To be polled for reading, and looked at when it is readable.
    int fd() const;
    // Why it is no use to go on.
    Outcome<void> look();
    // Looks only if there is something to see.
    Outcome<void> glance();

  private:
    explicit LogEnd(Context& context) : context_(context) {}
    Outcome<void> take_reply();

    Context& context_;
    procd::client::Connection* connection_ = nullptr;  // null: nothing is to be heard from procd
    procd::client::Connection::RequestId request_ = 0;
    procd::UniqueFd main_;  // a pidfd; none where pids of procd's mean nothing here
    bool over_ = false, lost_ = false;
};

}  // namespace procctl
