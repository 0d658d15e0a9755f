#pragma once

#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/api/host.hpp"
#include "daemon/core/selector.hpp"
#include "daemon/core/supervisor.hpp"
#include "proto/error.hpp"
#include "proto/json.hpp"
#include "proto/messages.hpp"

namespace procd::api {

class Api;

// Who sent a request, as known at accept.
struct Peer {
    core::ConnectionId connection = 0;
    core::UserId uid = 0;
    std::int64_t pid = 0;
};

// One request being answered: what its handler works with.
struct Call {
    Call(Api& api_, core::Supervisor& core_, Host& host_, Peer peer_,
         std::vector<core::ResourcePtr> descriptors_, std::optional<std::string> id_)
        : api(api_),
          core(core_),
          host(host_),
          peer(peer_),
          descriptors(std::move(descriptors_)),
          id(std::move(id_)),
          now(host_.now()) {}

    Api& api;
    core::Supervisor& core;
    Host& host;
    const Peer peer;
    const std::vector<core::ResourcePtr> descriptors;  // that came with the request
    const std::optional<std::string> id;               // none: a notification
    const core::Now now;

    core::Actions actions;               // to be performed once the answer is on its way
    std::vector<std::uint64_t> watched;  // pids that this request had watched
    std::string about;                   // which processes, for procd's log
    core::ResourcePtr reply_descriptor;  // goes with the answer
    std::function<void()> after_reply;   // what must follow the answer on the wire

    // Looks up who asks, with the process it runs in and the sessions it holds. Why not, where that cannot be
    // told.
    std::optional<core::Refusal> identify();
    // Once it was looked up: for each method of the table that is for a caller's own processes.
    const core::Caller& caller() const { return *caller_; }

  private:
    std::optional<core::Caller> caller_;
};

// The answer comes later, or went out already.
struct Later {};

// What a handler gives: its method's result, a refusal, or Later.
template <class Result>
using Answer = std::variant<Result, proto::WireError, Later>;

}  // namespace procd::api
