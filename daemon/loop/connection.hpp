#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <asio/io_context.hpp>

#include "daemon/core/types.hpp"
#include "daemon/loop/descriptor.hpp"
#include "daemon/loop/readiness.hpp"
#include "daemon/sys/peer.hpp"
#include "proto/framing.hpp"

namespace procd::loop {

// Bounds of one connection. A client that does not read is not read from either: over k_output_mark its
// requests wait.
constexpr std::size_t k_output_mark = std::size_t{1} << 20;
// Of what comes on and on (a log) there is less in the queue, so that other answers find room in it.
constexpr std::size_t k_stream_mark = std::size_t{1} << 18;
// What is held of a client's unprocessed requests before reading stops (one line of 8 MiB must fit).
constexpr std::size_t k_input_mark = proto::k_max_line_bytes + (std::size_t{1} << 16);
// Descriptors held for a line that is not whole yet: what one message may bring. More are dropped, and the
// line is told.
constexpr std::size_t k_most_descriptors = 253;
// Lines taken in one turn, so that a flooding client leaves the others theirs.
constexpr int k_lines_a_turn = 32;

// One client: bytes and descriptors in, lines out. Knows no method.
class Connection : public std::enable_shared_from_this<Connection> {
  public:
    // A request line, with the descriptors that came with it.
    struct Request {
        std::string line;
        bool too_long = false;
        std::string truncated;  // why some of the descriptors were dropped; empty: none was
        std::vector<core::ResourcePtr> descriptors;
    };
    struct Handlers {
        // False: not now; the same one is offered again after resume().
        std::function<bool(Connection&, const Request&)> on_request;
        std::function<void(Connection&)> on_half_closed;
        std::function<void(Connection&)> on_room;    // has_room() is true again
        std::function<void(Connection&)> on_closed;  // once; the connection is dead
    };

    Connection(asio::io_context& io, core::ConnectionId id, UniqueFd socket, sys::Peer peer,
               std::shared_ptr<DescriptorCount> count, Handlers handlers);
    ~Connection();

    core::ConnectionId id() const { return id_; }
    const sys::Peer& peer() const { return peer_; }
    int socket() { return socket_.fd(); }
    // Why it cannot be served.
    const std::optional<SysError>& problem() const { return socket_.problem(); }

    void start();
    // A whole line with its newline. The descriptor goes with its first byte.
    void send(std::string line, core::ResourcePtr descriptor);
    // Whether more may be queued that nobody waits for.
    bool keeps_up() const { return queued_ < k_output_mark; }
    // Whether more may be queued of what comes on and on.
    bool has_room() const { return queued_ < k_stream_mark; }
    // Nobody is there any more: no answer is heard.
    bool hung_up() const { return hung_up_; }
    // The client will send no more.
    bool half_closed() const { return input_ended_; }
    bool idle() const { return queued_ == 0 && !held_ && !lines_.has_line(); }
    // The request that was put off can be taken now.
    void resume() {
        waiting_ = false;
        process_soon();
    }
    void close();

    struct Outgoing {
        std::string bytes;
        std::size_t sent = 0;
        core::ResourcePtr descriptor;
    };
    struct Incoming {
        std::uint64_t last_byte;  // stream offset
        std::vector<core::ResourcePtr> descriptors;
        std::string truncated;
    };
    // What is on its way in and out, for another program in this process.
    struct Frozen {
        std::string input;  // from stream offset 0 on
        bool draining = false;
        std::vector<Incoming> incoming;
        std::vector<Outgoing> outgoing;  // nothing of them is sent
        bool input_ended = false;
    };
    Frozen freeze() const;
    // Before start().
    void thaw(Frozen frozen);

  private:
    void await_input();
    void read_some();
    void end_of_input();
    void settle_end();
    void process();
    void process_soon();
    void take_descriptors(const proto::LineReader::Line& line, Request& request);
    void flush();
    void flush_soon();

    asio::io_context& io_;
    core::ConnectionId id_;
    Readiness socket_;
    sys::Peer peer_;
    std::shared_ptr<DescriptorCount> count_;  // what it brings is on its user's account
    Handlers handlers_;
    proto::LineReader lines_;
    std::deque<Incoming> incoming_;
    std::deque<Outgoing> outgoing_;
    std::size_t queued_ = 0;       // bytes not sent yet
    std::optional<Request> held_;  // put off by whoever takes requests; nothing behind it is taken before
    bool reading_ = false, writing_ = false, processing_ = false, flushing_ = false;
    bool input_ended_ = false, hung_up_ = false, waiting_ = false, closed_ = false;
};

}  // namespace procd::loop
