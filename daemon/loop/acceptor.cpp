#include "daemon/loop/acceptor.hpp"

#include <algorithm>
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
// How soon it is tried again to have the socket in its place, doubling; and how often that is looked at where
// nothing tells.
constexpr auto k_first_look = std::chrono::milliseconds(100);
constexpr auto k_last_look = std::chrono::seconds(5);

}  // namespace

Acceptor::Acceptor(asio::io_context& io, sys::Listener listener, OnConnection on_connection, Log log)
    : io_(io),
      listener_(std::move(listener)),
      on_connection_(std::move(on_connection)),
      log_(std::move(log)),
      reserve_(sys::placeholder()),
      pause_(io),
      look_again_(io),
      next_look_(k_first_look) {
    check_place();
}

// On a copy of the listener's descriptor, which is the reactor's to close.
Result<void> Acceptor::listen() {
    auto copy = sys::duplicate(listener_.fd());
    if (!copy) return copy.error();
    incoming_ = std::make_unique<Readiness>(io_, std::move(*copy));
    incoming_->on_readable([this] { accept_some(); });
    return {};
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
    // Once lost to somebody else, it is taken back when there is one again.
    if (!reserve_ && !(reserve_ = sys::placeholder())) return false;
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
    place_.reset();
    UniqueFd watch = listener_.watch();
    if (!watch) return;
    place_ = std::make_unique<Readiness>(io_, std::move(watch));
    place_->on_readable([this] { check_place(); });
}

// A new watch starts with nothing to read. It is made before the last look, so that no removal falls between
// the two.
void Acceptor::check_place() {
    // Closed at the end: that can take the kernel a while, and there may be nobody to be found at the path.
    const std::unique_ptr<Readiness> before = std::move(place_);
    watch_place();
    while (!listening_ || !listener_.in_place()) {
        const auto taken = take_place();
        if (!taken) {
            if (!std::exchange(said_, true))
                log_("the socket is not in its place: " + taken.error().message());
            if (!listener_.may_rebind()) return;
            look_again_.set(std::chrono::steady_clock::now() + next_look_, [this] { check_place(); });
            next_look_ = std::min<core::Duration>(next_look_ * 2, k_last_look);
            return;
        }
        said_ = false;
        next_look_ = k_first_look;
        watch_place();
    }
    // Where the directory cannot be watched.
    if (place_ || !listener_.may_rebind()) return;
    look_again_.set(std::chrono::steady_clock::now() + k_last_look, [this] { check_place(); });
}

Result<void> Acceptor::take_place() {
    if (!listener_.in_place() && listening_) {
        if (auto bound = listener_.rebind(); !bound) return bound;
        listening_ = false;
        log_("the socket " + listener_.path() + " was removed: bound again");
    }
    auto listens = listen();
    listening_ = static_cast<bool>(listens);
    return listens;
}

}  // namespace procd::loop
