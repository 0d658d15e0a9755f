#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <asio/io_context.hpp>

#include "base/result.hpp"
#include "daemon/core/actions.hpp"
#include "daemon/sys/log_file.hpp"
#include "daemon/sys/log_keeper.hpp"
#include "daemon/sys/log_pump.hpp"
#include "daemon/sys/log_trim.hpp"

namespace procd::loop {

// What one log of a child is to procd.
struct ChildLog {
    UniqueFd child_end;                    // what the child writes to, where that is not the file itself
    std::shared_ptr<const UniqueFd> file;  // none: the journal
    std::string path;
    sys::LogKeeper::Ticket kept = 0;
    sys::LogPump::Ticket pumped = 0;

    // procd's own descriptors, once the child has them.
    void close() {
        child_end.reset();
        file.reset();
    }
    int fd() const { return child_end ? child_end.get() : file->get(); }
};

// The logs of all children: makes them, holds them to their limits, copies what comes by a pipe, removes
// them. Nothing here makes the loop wait: the disk is other threads' business.
class Logs {
  public:
    Logs(asio::io_context& io, sys::LogDirectory directory, sys::LogLimits default_limits);
    ~Logs();

    // On a spawner thread, before the child is there.
    Result<ChildLog> make(const core::Launch& action, sys::LogKind kind);
    // A log that an earlier procd made: it is held to its limits again. None: it is not there any more.
    // pipe: the read end of what it comes by, where that did not end with that procd.
    std::optional<ChildLog> take_back(const std::string& path, core::UserId uid, const core::LogSpec& spec,
                                      UniqueFd pipe);
    // For the time in which this process becomes another program: sys::LogPump::hold.
    bool hold() { return pump_.hold(k_hold); }
    void go_on() { pump_.go_on(); }
    int pipe_of(const ChildLog& log) const { return log.pumped == 0 ? -1 : pump_.descriptor(log.pumped); }
    // The log of a process that was being started when procd ended; none: it has none.
    std::optional<std::string> find(core::ProcessId id, const std::string& name, sys::LogKind kind,
                                    core::UserId uid) const {
        return directory_.find_first(id, name, kind, uid);
    }
    // What is in its pipe by now is in the log when `drained` is called, on the loop.
    void drain(const ChildLog& log, std::function<void()> drained);
    // Nobody writes to it any more.
    void finish(const ChildLog& log);
    void remove(const std::string& path) { keeper_.remove(path); }

  private:
    static constexpr std::chrono::milliseconds k_hold{2000};

    Result<ChildLog> make_journal(const core::Launch& action, sys::LogKind kind);
    // To its limits.
    void keep(ChildLog& log, uid_t uid, gid_t gid, const core::LogSpec& spec);

    asio::io_context& io_;
    sys::LogDirectory directory_;
    sys::LogLimits default_limits_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    sys::LogKeeper keeper_;
    sys::LogPump pump_;
};

}  // namespace procd::loop
