#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "daemon/api/host.hpp"
#include "proto/error.hpp"

namespace procd::api {

struct Call;

// Those who read logs: what is found goes to each as notifications, and then the result.
class LogStreams {
  public:
    // Each is a thread and some descriptors of procd's: of all users together, and of one but root and
    // procd's own. More are refused (`limit`). The thread of a reading that was given up counts until it has
    // ended.
    static constexpr std::size_t k_most = 256;
    static constexpr std::size_t k_most_of_user = 64;

    explicit LogStreams(Host& host) : host_(host) {}

    // Why not, where it cannot be read. Else the answer comes later.
    std::optional<proto::WireError> open(const Call& call, core::ProcessId process, LogRequest request);
    void deliver(LogId log, const LogChunk& chunk);
    void finish(LogId log, const LogReport& report);
    void process_exited(core::ProcessId process);
    void connection_closed(core::ConnectionId connection);
    bool reads(core::ConnectionId connection) const;

    struct Stream {
        core::ConnectionId connection;
        std::string request;  // JSON text of its id
        core::UserId reader;
        core::ProcessId process;
        LogRequest what;  // its `from` is the place up to which was delivered
        std::uint64_t dropped = 0;
    };
    // For another program in this process: those under way, and those begun there again.
    const std::map<LogId, Stream>& streams() const { return streams_; }
    LogId next() const { return next_; }
    void thaw(std::map<LogId, Stream> streams, LogId next);

  private:
    Host& host_;
    std::map<LogId, Stream> streams_;
    LogId next_ = 1;
};

}  // namespace procd::api
