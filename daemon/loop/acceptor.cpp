#include "daemon/loop/acceptor.hpp"

#include <cerrno>
#include <chrono>
#include <string_view>
#include <utility>

#include "base/fd_passing.hpp"
#include "daemon/sys/descriptors.hpp"
#include "proto/envelope.hpp"

namespace procd::loop {
namespace {

constexpr int k_accepts_a_turn = 64;
constexpr auto k_pause = std::chrono::milliseconds(100);

}  // namespace

Acceptor::Acceptor(asio::io_context& io, sys::Listener listener, OnConnection on_connection, Log log)
    : io_(io),
      listener_(std::move(listener)),
      on_connection_(std::move(on_connection)),
      log_(std::move(log)),
      reserve_(sys::placeholder()),
      pause_(io) {
    listen();
    watch_place();
}

void Acceptor::listen() {
    auto copy = sys::duplicate(listener_.fd());
    incoming_ = std::make_unique<Readiness>(io_, copy ? std::move(*copy) : UniqueFd());
    incoming_->on_readable([this] { accept_some(); });
}

void Acceptor::accept_some() {
    for (int i = 0; i < k_accepts_a_turn; ++i) {
        auto socket = sys::accept(listener_.fd());
        if (socket) {
            on_connection_(std::move(*socket));
            continue;
        }
        const int error = socket.error().error;
        if (error == EAGAIN) break;
        if (error == ECONNABORTED || error == EINTR || error == EPROTO) continue;
        if (error == EMFILE && turn_one_away()) continue;
        log_("cannot accept connections: " + socket.error().message());
        pause_.set(std::chrono::steady_clock::now() + k_pause,
                   [this] { incoming_->on_readable([this] { accept_some(); }); });
        return;
    }
    incoming_->on_readable([this] { accept_some(); });
}

// A clear answer costs one descriptor for a moment. False: not even that is to be had.
bool Acceptor::turn_one_away() {
    if (!reserve_) return false;
    reserve_.reset();
    {
        auto socket = sys::accept(listener_.fd());
        if (socket) {
            const std::string answer =
                proto::error_line("null", {proto::ErrorKind::limit, "procd is out of descriptors (EMFILE)",
                                           proto::OrderedJson::object()});
            (void)send_with_fds(socket->get(), answer, {});
        }
    }
    reserve_ = sys::placeholder();
    return static_cast<bool>(reserve_);
}

void Acceptor::watch_place() {
    UniqueFd watch = listener_.watch();
    if (!watch) return;
    place_ = std::make_unique<Readiness>(io_, std::move(watch));
    place_->on_readable([this] { check_place(); });
}

// A new watch starts with nothing to read. It is made before the last look, so that no removal falls between
// the two.
void Acceptor::check_place() {
    bool bound = false;
    do {
        bound = false;
        if (!listener_.in_place()) {
            const auto again = listener_.rebind();
            bound = static_cast<bool>(again);
            if (bound) listen();
            log_(bound ? "the socket " + listener_.path() + " was removed: bound again"
                       : "the socket was removed and cannot be bound again: " + again.error().message());
        }
        watch_place();
    } while (bound && !listener_.in_place());
}

}  // namespace procd::loop
