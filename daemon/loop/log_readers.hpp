#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include <asio/io_context.hpp>

#include "daemon/api/api.hpp"
#include "daemon/sys/log_stream.hpp"

namespace procd::loop {

// The logs that clients read, each on a thread of its own. What a thread has read waits here, one chunk a
// log, until its connection has room for it; meanwhile that thread reads no further.
class LogReaders {
  public:
    using HasRoom = std::function<bool(core::ConnectionId)>;

    LogReaders(asio::io_context& io, HasRoom has_room, api::Api& api);
    ~LogReaders();
    LogReaders(const LogReaders&) = delete;
    LogReaders& operator=(const LogReaders&) = delete;

    // owner: whose the file must be. False: no thread or no descriptor is to be had.
    bool read(api::LogId log, core::ConnectionId connection, const api::LogRequest& request,
              std::optional<uid_t> owner);
    void complete(api::LogId log);
    void forget(api::LogId log);
    // Those that have not ended, the threads of forgotten readings too.
    api::LogThreads threads(core::UserId reader) const;
    bool none() const { return readers_.empty(); }
    // There is room on this connection.
    void go_on(core::ConnectionId connection);

  private:
    struct Reader {
        core::ConnectionId connection;
        std::unique_ptr<sys::LogStream> stream;
        std::optional<sys::LogStream::Chunk> waiting;
    };
    void arrived(api::LogId log, sys::LogStream::Chunk chunk);
    void ended(api::LogId log, const sys::LogStream::End& end);
    void pass_on(api::LogId log, Reader& reader);

    asio::io_context& io_;
    HasRoom has_room_;
    api::Api& api_;
    std::map<api::LogId, Reader> readers_;
    std::map<core::UserId, std::shared_ptr<const bool>> threads_;  // each thread of the user's shares it
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace procd::loop
