#include "client/procctl/relay.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unistd.h>

#include "client/procctl/output.hpp"
#include "client/procctl/text.hpp"

namespace procctl {
namespace {

using procd::client::Deadline;

constexpr std::size_t k_queue_bytes = std::size_t{64} << 10;
// More than the kernel keeps in a terminal: what one can still read once its writers have ended. Others, who
// were told to stay, may go on writing for ever.
constexpr std::size_t k_rest_bytes = std::size_t{1} << 20;
// How often a process in the background looks whether it is in the foreground: nothing tells.
constexpr double k_foreground_seconds = 0.2;
// After how long an end of file that was read is typed again: at first, and in the long run.
constexpr double k_retype_first_seconds = 0.01;
constexpr double k_retype_last_seconds = 0.25;

bool comes_later(ssize_t result) {
    return result < 0 && (errno == EAGAIN || errno == EINTR);
}

}  // namespace

Outcome<TerminalPair> Relay::open_pair() {
    if (::isatty(STDIN_FILENO) != 1) return open_terminal(std::nullopt, false);
    // In the background they are those of whoever reads there now.
    return open_terminal(in_foreground(STDIN_FILENO) ? std::optional(STDIN_FILENO) : std::nullopt, true);
}

Relay::Relay(TerminalPair pair)
    : pair_(std::move(pair)),
      in_(STDIN_FILENO, Stream::Direction::in),
      out_(STDOUT_FILENO, Stream::Direction::out),
      raw_(STDIN_FILENO),
      typed_(k_queue_bytes),
      shown_(k_queue_bytes),
      input_ended_(!stream_was_open(STDIN_FILENO)),
      retype_(Deadline::after(0.0)),
      retype_seconds_(k_retype_first_seconds),
      discards_(!stream_was_open(STDOUT_FILENO)) {}

// ---- the caller's terminal
// ----------------------------------------------------------------------------------

void Relay::begin() {
    begun_ = true;
    resize();
    may_use_input();  // raw before anything is shown, be it all over already
}

void Relay::resize() {
    const winsize size = window_size();
    if (pair_.master) ::ioctl(pair_.master.get(), TIOCSWINSZ, &size);
}

void Relay::pause() {
    raw_.leave();
    raw_now_ = false;
}

void Relay::resume() {
    raw_now_ = false;
    resize();
}

// In the foreground only: a read in the background would stop procctl.
bool Relay::may_use_input() {
    if (!in_.is_terminal()) return true;
    const bool in_front = in_foreground(STDIN_FILENO);
    if (in_front && !raw_now_) raw_.enter();
    raw_now_ = in_front;
    return in_front;
}

// ---- while waiting -------------------------------------------------------------------------------------

Deadline Relay::prepare(std::vector<pollfd>& entries) {
    const bool open = static_cast<bool>(pair_.master);
    const bool wants_input = begun_ && open && !rest_ && !input_ended_;
    const bool in_front = wants_input && may_use_input();
    const int wanted = (shown_.full() ? 0 : POLLIN) | (typed_.empty() ? 0 : POLLOUT);
    entries.push_back({open && wanted != 0 ? pair_.master.get() : -1, static_cast<short>(wanted), 0});
    entries.push_back({in_front && !typed_.full() ? in_.fd() : -1, POLLIN, 0});
    entries.push_back({shown_.empty() ? -1 : out_.fd(), POLLOUT, 0});

    if (rest_) return is_done() || (open && !shown_.full()) ? Deadline::after(0.0) : Deadline::never();
    if (wants_input && !in_front) return Deadline::after(k_foreground_seconds);
    if (open && input_ended_ && typed_.empty()) return retype_;
    return Deadline::never();
}

bool Relay::attend(std::span<const pollfd> entries) {
    const pollfd &master = entries[0], &in = entries[1], &out = entries[2];  // as prepare() added them
    if (out.revents != 0) write_output();
    if (in.revents != 0) read_input((in.revents & POLLHUP) != 0);
    if (!typed_.empty()) write_input();
    if (input_ended_ && typed_.empty() && !rest_ && retype_.passed()) type_end_of_file();
    if (master.revents != 0 || rest_) read_output();
    return !is_done();
}

// ---- in
// -----------------------------------------------------------------------------------------------------

void Relay::read_input(bool hung_up) {
    const auto space = typed_.space();
    const ssize_t got = in_.read(space.data(), space.size());
    if (got > 0) return typed_.filled(static_cast<std::size_t>(got));
    if (comes_later(got)) return;
    // Who sat there is gone: so is, for those inside, the terminal.
    if (in_.is_terminal() && hung_up) return hang_up();
    input_ended_ = true;
    retype_ = Deadline::after(0.0);
}

void Relay::write_input() {
    if (!pair_.master) return typed_.clear();
    const auto bytes = typed_.front();
    const ssize_t written = ::write(pair_.master.get(), bytes.data(), bytes.size());
    if (written > 0) typed_.taken(static_cast<std::size_t>(written));
}

// A terminal has no end of its own: the character that stands for it ends one read, the next one waits. So it
// is typed again whenever it was read; and once more where it only sent off what stood there without a
// newline.
void Relay::type_end_of_file() {
    if (!pair_.slave) return;
    retype_ = Deadline::after(retype_seconds_);
    retype_seconds_ = std::min(2 * retype_seconds_, k_retype_last_seconds);
    pollfd unread{pair_.slave.get(), POLLIN, 0};
    termios settings{};
    if (::poll(&unread, 1, 0) != 0 || ::tcgetattr(pair_.slave.get(), &settings) != 0) return;
    const cc_t character = settings.c_cc[VEOF];
    if (character == _POSIX_VDISABLE) return;
    static_cast<void>(!::write(pair_.master.get(), &character, 1));
}

// ---- out
// ----------------------------------------------------------------------------------------------------

void Relay::read_output() {
    if (!pair_.master || shown_.full()) return;
    auto space = shown_.space();
    if (rest_) space = space.first(std::min(space.size(), *rest_));
    const ssize_t got = ::read(pair_.master.get(), space.data(), space.size());
    if (got > 0) {
        if (!discards_) shown_.filled(static_cast<std::size_t>(got));
        if (rest_) *rest_ -= static_cast<std::size_t>(got);
    } else if (rest_ && !(got < 0 && errno == EINTR)) {
        pair_.master.reset();
    }
}

void Relay::write_output() {
    const auto bytes = shown_.front();
    const ssize_t written = out_.write(bytes.data(), bytes.size());
    if (written >= 0) return shown_.taken(static_cast<std::size_t>(written));
    if (comes_later(written)) return;
    const int error = errno;
    hang_up();
    // Who reads may just have enough, or be gone.
    if (error != EPIPE && error != EIO)
        complain(std::string("cannot write to stdout: ") + std::strerror(error));
}

// ---- the end
// ------------------------------------------------------------------------------------------------

// Whoever runs in the terminal is told with a SIGHUP.
void Relay::hang_up() {
    pause();
    begun_ = false;
    pair_ = {};
    typed_.clear();
    shown_.clear();
}

bool Relay::is_done() const {
    return rest_ && !pair_.master && shown_.empty();
}

void Relay::finish() {
    pair_.slave.reset();
    typed_.clear();
    rest_ = k_rest_bytes;
    // Whoever reads the output may never go on: ^C is a signal again, and ends the waiting.
    if (!out_.is_terminal()) pause();
}

}  // namespace procctl
