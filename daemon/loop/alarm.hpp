#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>

#include "daemon/core/types.hpp"
#include "daemon/loop/guard.hpp"

namespace procd::loop {

// One deadline. cancel() cannot recall a handler that asio has queued already: each setting has a generation,
// and an older one's handler does nothing.
class Alarm {
  public:
    static constexpr auto k_pause = std::chrono::milliseconds(100);

    explicit Alarm(asio::io_context& io) : timer_(io), generation_(std::make_shared<std::uint64_t>(0)) {}
    ~Alarm() { ++*generation_; }
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;

    // Instead of what was set before; none: nothing rings. A handler that threw is called again after a
    // pause.
    void set(std::optional<core::Mono> at, std::function<void()> handler) {
        if (at == at_) return;
        at_.reset();
        const std::uint64_t mine = ++*generation_;
        if (!at) {
            timer_.cancel();
            return;
        }
        timer_.expires_at(*at);
        timer_.async_wait(
            [this, generation = generation_, mine, handler = std::move(handler)](const asio::error_code&) {
                if (*generation != mine) return;
                at_.reset();
                if (guarded(handler) || *generation != mine) return;
                guarded([&] { set(std::chrono::steady_clock::now() + k_pause, handler); });
            });
        at_ = at;  // only now: where that threw nothing is set
    }

    // Like set(), but what is set already stays.
    void set_once(core::Mono at, std::function<void()> handler) {
        if (!at_) set(at, std::move(handler));
    }

  private:
    asio::steady_timer timer_;
    std::optional<core::Mono> at_;
    std::shared_ptr<std::uint64_t> generation_;
};

}  // namespace procd::loop
