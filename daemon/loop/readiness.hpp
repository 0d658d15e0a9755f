#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/steady_timer.hpp>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "daemon/loop/guard.hpp"
#include "daemon/sys/descriptors.hpp"

namespace procd::loop {

// A descriptor in the reactor. Owns it; a handler never runs after the end of its life, although asio may
// have queued it before. Nor does it run for nothing: what asio has queued for a descriptor that was closed
// it hands to the next one that it takes in, so each is looked at before its handler is called. The reactor
// can be full (epoll_ctl: ENOSPC, ENOMEM). Then problem() says so, and the descriptor is looked at every
// k_poll instead, for whom that is better than to do without.
class Readiness {
  public:
    using Handler = std::function<void()>;
    using Kind = asio::posix::stream_descriptor::wait_type;
    static constexpr auto k_poll = std::chrono::milliseconds(20);
    static constexpr auto k_pause =
        std::chrono::milliseconds(100);  // before a handler that threw is called again

    Readiness(asio::io_context& io, UniqueFd fd)
        : io_(io), descriptor_(io), alive_(std::make_shared<bool>(true)) {
        asio::error_code error;
        descriptor_.assign(fd.get(), error);
        if (error) {
            problem_ = SysError{"epoll_ctl", "descriptor " + std::to_string(fd.get()), error.value()};
            polled_ = std::move(fd);
        } else {
            (void)fd.release();  // asio's now
        }
    }
    ~Readiness() { *alive_ = false; }
    Readiness(const Readiness&) = delete;
    Readiness& operator=(const Readiness&) = delete;

    int fd() { return polled_ ? polled_.get() : descriptor_.native_handle(); }
    const std::optional<SysError>& problem() const { return problem_; }

    // Gives the descriptor back now; whoever waits for it is released without being called.
    void close() {
        *alive_ = false;
        asio::error_code ignored;
        descriptor_.close(ignored);
        polled_.reset();
    }

    // Calls the handler once, when the descriptor is ready for that (or broken); again, where it threw.
    void wait(Kind kind, Handler handler) {
        if (polled_) return look_later(kind, std::move(handler), k_poll);
        descriptor_.async_wait(
            kind, [this, alive = alive_, kind, handler = std::move(handler)](const asio::error_code& error) {
                if (!*alive || error == asio::error::operation_aborted) return;
                if (sys::is_ready(fd(), wanted(kind))) return call(alive, kind, handler);
                guarded([&] { wait(kind, handler); });
            });
    }
    void on_readable(Handler handler) { wait(Kind::wait_read, std::move(handler)); }

  private:
    static sys::Ready wanted(Kind kind) {
        if (kind == Kind::wait_read) return sys::Ready::to_read;
        return kind == Kind::wait_write ? sys::Ready::to_write : sys::Ready::exceptional;
    }
    void call(const std::shared_ptr<bool>& alive, Kind kind, const Handler& handler) {
        if (guarded(handler) || !*alive) return;
        guarded([&] { look_later(kind, handler, k_pause); });
    }
    void look_later(Kind kind, Handler handler, std::chrono::milliseconds pause) {
        const auto timer = std::make_shared<asio::steady_timer>(io_, pause);
        timer->async_wait(
            [this, timer, alive = alive_, kind, handler = std::move(handler)](const asio::error_code&) {
                if (!*alive) return;
                if (sys::is_ready(fd(), wanted(kind))) return call(alive, kind, handler);
                guarded([&] { wait(kind, handler); });
            });
    }

    asio::io_context& io_;
    asio::posix::stream_descriptor descriptor_;
    UniqueFd polled_;  // where the reactor has no room for it
    std::optional<SysError> problem_;
    std::shared_ptr<bool> alive_;
};

}  // namespace procd::loop
