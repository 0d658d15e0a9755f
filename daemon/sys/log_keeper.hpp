#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "daemon/sys/log_file.hpp"
#include "daemon/sys/trimmed_log.hpp"

namespace procd::sys {

// Holds logs to their limits, and removes them, on a thread of its own: neither copying nor cutting (which
// may wait for the disk) keeps the loop. An idle log costs nothing: an inotify watch that fires once tells of
// the first byte; then a timer looks, sooner the faster the log grows, until it is idle again.
class LogKeeper {
  public:
    using Ticket = std::uint64_t;  // of one log; 0: none

    // say: called on the keeper's thread, for procd's log. directory must outlive this.
    LogKeeper(const LogDirectory& directory, LogFeatures features, LogComplaints::Say say);
    // Does what was asked for first.
    ~LogKeeper();
    LogKeeper(const LogKeeper&) = delete;
    LogKeeper& operator=(const LogKeeper&) = delete;

    // From any thread; one system call. To be called before anybody writes.
    Ticket add(std::shared_ptr<const UniqueFd> fd, std::string path, uid_t uid, gid_t gid, LogLimits limits);
    // Nobody writes any more: a last look, then it is let go.
    void finish(Ticket ticket);
    // The log, its pieces and its index are removed, after all that was asked for before.
    void remove(std::string path);

  private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace procd::sys
