#pragma once

#include <functional>
#include <memory>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/posix/stream_descriptor.hpp>

#include "base/unique_fd.hpp"

namespace procd::loop {

// A descriptor in the reactor. Owns it; a handler never runs after the end of its life, although asio may
// have queued it before.
class Readiness {
  public:
    using Handler = std::function<void()>;
    using Kind = asio::posix::stream_descriptor::wait_type;

    Readiness(asio::io_context& io, UniqueFd fd)
        : descriptor_(io, fd.release()), alive_(std::make_shared<bool>(true)) {}
    ~Readiness() { *alive_ = false; }
    Readiness(const Readiness&) = delete;
    Readiness& operator=(const Readiness&) = delete;

    int fd() { return descriptor_.native_handle(); }

    // Gives the descriptor back now; whoever waits for it is released without being called.
    void close() {
        *alive_ = false;
        asio::error_code ignored;
        descriptor_.close(ignored);
    }

    // Calls the handler once, when the descriptor is ready for that (or broken).
    void wait(Kind kind, Handler handler) {
        descriptor_.async_wait(kind,
                               [alive = alive_, handler = std::move(handler)](const asio::error_code& error) {
                                   if (*alive && error != asio::error::operation_aborted) handler();
                               });
    }
    void on_readable(Handler handler) { wait(Kind::wait_read, std::move(handler)); }

  private:
    asio::posix::stream_descriptor descriptor_;
    std::shared_ptr<bool> alive_;
};

}  // namespace procd::loop
