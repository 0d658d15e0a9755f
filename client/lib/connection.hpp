#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.hpp"
#include "client/lib/deadline.hpp"
#include "client/lib/result.hpp"
#include "proto/codec.hpp"
#include "proto/framing.hpp"
#include "proto/json.hpp"

// A blocking connection to procd. Not for several threads at once.
//
//     auto connection = Connection::open("/run/procd/procd.sock");
//     auto reply = connection->call<proto::Spawn>({.command = …});
//     if (!reply) … reply.error().message …
//     reply->result.pid
//
// Requests may be pipelined: send() several, receive() each. Whoever waits for other things too polls fd(),
// lets pump() read, and asks arrived().
namespace procd::client {

// A member of a line, in the order in which it came, unknown members too: what `--json` prints.
proto::OrderedJson member_of(const std::string& line, const char* name);

template <class Method>
struct Reply {
    typename Method::Result result;
    std::string line;
    std::vector<UniqueFd> fds;

    proto::OrderedJson json() const { return member_of(line, "result"); }
};

struct Notification {
    std::string method;
    proto::Json params;
    std::string line;
};

class Connection {
  public:
    using RequestId = std::uint64_t;
    using Fds = std::span<const int>;

    static Result<Connection> open(const std::string& path, Deadline deadline = {});

    template <class Method>
    Result<Reply<Method>> call(const typename Method::Params& params, Fds fds = {}, Deadline deadline = {}) {
        auto id = send<Method>(params, fds, deadline);
        if (!id) return id.error();
        return receive<Method>(*id, deadline);
    }
    template <class Method>
    Result<RequestId> send(const typename Method::Params& params, Fds fds = {}, Deadline deadline = {}) {
        return send_request(Method::k_name, proto::encode(params), fds, deadline);
    }
    // Done, and never answered.
    template <class Method>
    Result<void> tell(const typename Method::Params& params, Fds fds = {}, Deadline deadline = {}) {
        return send_notification(Method::k_name, proto::encode(params), fds, deadline);
    }
    template <class Method>
    Result<Reply<Method>> receive(RequestId id, Deadline deadline = {}) {
        auto raw = receive_raw(id, deadline);
        if (!raw) return raw.error();
        Reply<Method> reply{{}, std::move(raw->line), std::move(raw->fds)};
        try {
            if constexpr (std::same_as<typename Method::Result, proto::OrderedJson>) {
                reply.result = reply.json();
            } else {
                proto::decode(raw->result, reply.result, proto::Path{nullptr, "result", std::nullopt},
                              proto::Unknown::ignore);
            }
        } catch (const proto::DecodeError& error) {
            return Error{Error::Kind::protocol,
                         "procd's answer makes no sense: " + std::string(error.what()),
                         {},
                         {},
                         0,
                         path_};
        }
        return reply;
    }

    // Waits until there is something to read, or the end, and sorts it in.
    Result<void> pump(Deadline deadline = {});
    // Whether receive() will not wait: the reply is here, or will never be.
    bool arrived(RequestId id) const { return broken_ || replies_.contains(id); }
    // Notifications are kept aside until somebody asks.
    std::optional<Notification> next_notification();

    int fd() const { return fd_.get(); }
    const std::string& path() const { return path_; }

  private:
    struct RawReply {
        proto::Json result;
        std::optional<Error> error;
        std::string line;
        std::vector<UniqueFd> fds;
    };
    // Descriptors that came with the byte at this place in the stream.
    struct Arrival {
        std::uint64_t offset;
        std::vector<UniqueFd> fds;
    };

    Connection(UniqueFd fd, std::string path);
    Result<RequestId> send_request(const char* method, const proto::OrderedJson& params, Fds fds,
                                   Deadline deadline);
    Result<void> send_notification(const char* method, const proto::OrderedJson& params, Fds fds,
                                   Deadline deadline);
    Result<void> write(std::string_view line, Fds fds, Deadline deadline);
    Result<RawReply> receive_raw(RequestId id, Deadline deadline);
    Result<void> wait_for(short events, Deadline deadline);
    // One recvmsg. False: nothing to read now.
    bool read_once();
    void sort_in(proto::LineReader::Line line);
    void break_down(Error error);
    Error closed(int error) const;

    UniqueFd fd_;
    std::string path_;
    proto::LineReader reader_;
    std::deque<Arrival> arrivals_;
    RequestId last_id_ = 0;
    std::set<RequestId> outstanding_;
    std::map<RequestId, RawReply> replies_;
    std::deque<Notification> notifications_;
    std::optional<Error> broken_;  // nothing more will come
};

}  // namespace procd::client
