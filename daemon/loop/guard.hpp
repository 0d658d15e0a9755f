#pragma once

#include <exception>
#include <string>
#include <utility>

#include <asio/io_context.hpp>
#include <asio/post.hpp>

#include "daemon/loop/log.hpp"

namespace procd::loop {

// Runs what the loop calls. Nothing may be thrown into the loop, which would be procd's end: no memory for
// one thing is not the end of all others. False: it threw, which is told.
template <class Handler>
bool guarded(Handler&& handler) noexcept {
    try {
        handler();
        return true;
    } catch (const std::exception& error) {
        try {
            log_error(std::string("something was left undone: ") + error.what());
        } catch (...) {  // no memory for that either
        }
    } catch (...) {
    }
    return false;
}

// Runs it once the loop has done what it is at.
template <class Handler>
void later(asio::io_context& io, Handler handler) {
    asio::post(io, [handler = std::move(handler)]() mutable { guarded(handler); });
}

}  // namespace procd::loop
