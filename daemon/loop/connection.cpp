#include "daemon/loop/connection.hpp"

#include <array>
#include <cerrno>
#include <iterator>
#include <span>
#include <utility>

#include "base/fd_passing.hpp"
#include "daemon/loop/descriptor.hpp"
#include "daemon/loop/guard.hpp"
#include "daemon/sys/closing.hpp"

namespace procd::loop {

Connection::Connection(asio::io_context& io, core::ConnectionId id, UniqueFd socket, sys::Peer peer,
                       std::shared_ptr<DescriptorCount> count, Handlers handlers)
    : io_(io),
      id_(id),
      socket_(io, std::move(socket)),
      peer_(std::move(peer)),
      count_(std::move(count)),
      handlers_(std::move(handlers)) {}

Connection::~Connection() {
    if (!closed_) sys::discard_input(peer_.uid, socket_.fd());
}

void Connection::start() {
    await_input();
    // Told when both directions are gone, also while nothing is read.
    socket_.wait(Readiness::Kind::wait_error, [self = shared_from_this()] {
        if (self->closed_ || !procd::hung_up(self->socket_.fd())) return;
        self->hung_up_ = true;
        self->read_some();  // what it said before it went
        self->settle_end();
    });
}

void Connection::close() {
    if (closed_) return;
    closed_ = true;
    incoming_.clear();
    outgoing_.clear();
    held_.reset();
    queued_ = 0;
    const auto self = shared_from_this();
    sys::discard_input(peer_.uid, socket_.fd());
    socket_.close();
    handlers_.on_closed(*self);
}

Connection::Frozen Connection::freeze() const {
    Frozen frozen;
    const auto hold_back = [&](std::uint64_t last_byte, const auto& from) {
        if (!from.descriptors.empty() || !from.truncated.empty())
            frozen.incoming.push_back({last_byte, from.descriptors, from.truncated});
    };
    if (held_) {
        frozen.input = held_->line + "\n";
        hold_back(held_->line.size(), *held_);
    }
    // Where what is held back begins, in the stream as it was and as it will be.
    const std::uint64_t before = lines_.fed() - lines_.pending(), after = frozen.input.size();
    for (const Incoming& incoming : incoming_) hold_back(incoming.last_byte - before + after, incoming);
    frozen.input += lines_.held();
    frozen.draining = lines_.draining();
    for (const Outgoing& outgoing : outgoing_)
        frozen.outgoing.push_back({outgoing.bytes.substr(outgoing.sent), 0, outgoing.descriptor});
    frozen.input_ended = input_ended_;
    return frozen;
}

void Connection::thaw(Frozen frozen) {
    if (frozen.draining) lines_.drain();
    lines_.feed(frozen.input);
    input_ended_ = frozen.input_ended;
    if (input_ended_) lines_.finish();
    incoming_.assign(std::make_move_iterator(frozen.incoming.begin()),
                     std::make_move_iterator(frozen.incoming.end()));
    for (Outgoing& outgoing : frozen.outgoing) {
        queued_ += outgoing.bytes.size();
        outgoing_.push_back(std::move(outgoing));
    }
    if (!outgoing_.empty()) flush_soon();
    process_soon();
}

// ---- in --------------------------------------------------------------------------------------------------

void Connection::await_input() {
    if (closed_ || reading_ || input_ended_ || queued_ >= k_output_mark || lines_.pending() > k_input_mark)
        return;
    reading_ = true;
    socket_.on_readable([self = shared_from_this()] {
        self->reading_ = false;
        self->read_some();
    });
}

void Connection::read_some() {
    if (closed_ || input_ended_) return;
    static std::array<char, std::size_t{1} << 16> buffer;  // one thread
    while (lines_.pending() <= k_input_mark && !lines_.has_line()) {
        auto received = receive_with_fds(socket_.fd(), buffer);
        if (!received) return close();
        if (received->bytes == k_would_block) break;
        if (received->bytes == 0) return end_of_input();
        const auto count = static_cast<std::size_t>(received->bytes);
        lines_.feed({buffer.data(), count});
        if (received->fds.empty() && !received->truncated) continue;
        std::size_t held = 0;
        for (const Incoming& earlier : incoming_) held += earlier.descriptors.size();
        Incoming incoming{lines_.fed() - 1, {}, ""};
        if (received->truncated)
            incoming.truncated = "procd has no room for the descriptors of this request (EMFILE)";
        else if (held + received->fds.size() > k_most_descriptors)
            incoming.truncated =
                "a request has at most " + std::to_string(k_most_descriptors) + " descriptors";
        else if (!count_->has_room(received->fds.size()))
            incoming.truncated = count_->problem();
        else
            for (UniqueFd& fd : received->fds)
                incoming.descriptors.push_back(hold_brought(std::move(fd), count_));
        for (UniqueFd& fd : received->fds)
            if (fd) sys::close_elsewhere(peer_.uid, std::move(fd));  // too many
        if (!incoming.truncated.empty() && !incoming_.empty())
            incoming_.back().truncated = incoming.truncated;
        else
            incoming_.push_back(std::move(incoming));
    }
    process();
}

void Connection::end_of_input() {
    input_ended_ = true;
    lines_.finish();
    process();
    if (closed_) return;
    hung_up_ = hung_up_ || procd::hung_up(socket_.fd());
    if (hung_up_) return settle_end();
    handlers_.on_half_closed(*this);
}

// The client is gone. What it asked for before is still done, though nobody hears the answers.
void Connection::settle_end() {
    if (closed_ || !hung_up_) return;
    outgoing_.clear();
    queued_ = 0;
    if (!input_ended_) return read_some();
    if (waiting_) return;  // resume() goes on
    if (held_ || lines_.has_line()) return process_soon();
    close();
}

void Connection::process() {
    for (int taken = 0; !closed_ && queued_ < k_output_mark; ++taken) {
        if (taken == k_lines_a_turn) return process_soon();
        if (!held_) {
            const auto line = lines_.next();
            if (!line) break;
            held_ = Request{line->text, line->too_long, "", {}};
            take_descriptors(*line, *held_);
        }
        if (!handlers_.on_request(*this, *held_)) {
            waiting_ = true;
            return;
        }
        held_.reset();
    }
    await_input();
}

void Connection::process_soon() {
    if (std::exchange(processing_, true)) return;
    later(io_, [self = shared_from_this()] {
        self->processing_ = false;
        if (!self->closed_) self->process();
        if (self->closed_ || !self->input_ended_) return;
        if (self->hung_up_)
            self->settle_end();
        else
            self->handlers_.on_half_closed(*self);
    });
}

// Descriptors belong to the line that holds the last byte of the message that brought them.
void Connection::take_descriptors(const proto::LineReader::Line& line, Request& request) {
    while (!incoming_.empty() && incoming_.front().last_byte < line.end) {
        Incoming& incoming = incoming_.front();
        if (incoming.last_byte >= line.begin) {
            if (!incoming.truncated.empty()) request.truncated = incoming.truncated;
            for (core::ResourcePtr& descriptor : incoming.descriptors)
                request.descriptors.push_back(std::move(descriptor));
        }
        incoming_.pop_front();
    }
}

// ---- out -------------------------------------------------------------------------------------------------

void Connection::send(std::string line, core::ResourcePtr descriptor) {
    if (closed_) return;
    queued_ += line.size();
    // Lines without a descriptor go out together.
    if (!descriptor && !outgoing_.empty() && !outgoing_.back().descriptor)
        outgoing_.back().bytes += line;
    else
        outgoing_.push_back({std::move(line), 0, std::move(descriptor)});
    flush_soon();
}

void Connection::flush_soon() {
    if (writing_ || std::exchange(flushing_, true)) return;
    later(io_, [self = shared_from_this()] {
        self->flushing_ = false;
        self->flush();
    });
}

void Connection::flush() {
    if (closed_ || writing_) return;
    const bool was_full = queued_ >= k_output_mark, had_room = has_room();
    while (!outgoing_.empty()) {
        Outgoing& next = outgoing_.front();
        const std::array fds{next.descriptor ? fd_of(next.descriptor) : -1};
        const auto sent = send_with_fds(socket_.fd(), std::span(next.bytes).subspan(next.sent),
                                        std::span(fds).first(next.descriptor ? 1 : 0));
        if (!sent) {
            outgoing_.clear();
            queued_ = 0;
            // Who shut down its reading may still ask; whom an answer was lost for otherwise must not wait
            // for it.
            if (sent.error().error != EPIPE && sent.error().error != ECONNRESET) return close();
            break;
        }
        if (*sent == k_would_block) {
            writing_ = true;
            socket_.wait(Readiness::Kind::wait_write, [self = shared_from_this()] {
                self->writing_ = false;
                self->flush();
            });
            break;
        }
        queued_ -= static_cast<std::size_t>(*sent);
        next.descriptor.reset();
        next.sent += static_cast<std::size_t>(*sent);
        if (next.sent == next.bytes.size()) outgoing_.pop_front();
    }
    if (was_full && queued_ < k_output_mark) process_soon();
    if (!had_room && has_room()) handlers_.on_room(*this);
    if (outgoing_.empty() && input_ended_) handlers_.on_half_closed(*this);
}

}  // namespace procd::loop
