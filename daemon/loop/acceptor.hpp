#pragma once

#include <functional>

#include <asio/io_context.hpp>

#include "base/unique_fd.hpp"
#include "daemon/loop/alarm.hpp"
#include "daemon/loop/readiness.hpp"
#include "daemon/sys/listener.hpp"

namespace procd::loop {

// Takes connections from the socket, and keeps the socket where it is: one that is unlinked is bound again,
// and where that fails it is tried until it works. Out of descriptors, it tells who comes that there is no
// room; out of memory, it waits a moment instead of spinning.
class Acceptor {
  public:
    using OnConnection = std::function<void(UniqueFd)>;
    using Log = std::function<void(const std::string&)>;

    Acceptor(asio::io_context& io, sys::Listener listener, OnConnection on_connection, Log log);

    const std::string& path() const { return listener_.path(); }
    const sys::Listener& listener() const { return listener_; }

  private:
    Result<void> listen();
    void accept_some();
    bool turn_one_away();
    void watch_place();
    void check_place();
    Result<void> take_place();

    asio::io_context& io_;
    sys::Listener listener_;
    OnConnection on_connection_;
    Log log_;
    std::unique_ptr<Readiness> incoming_;  // a copy of the listener's descriptor
    std::unique_ptr<Readiness> place_;
    UniqueFd reserve_;  // given up to have one descriptor when there are no more
    Alarm pause_;
    Alarm look_again_;
    core::Duration next_look_;
    bool listening_ = false;
    bool said_ = false;  // that the socket is not in its place
};

}  // namespace procd::loop
