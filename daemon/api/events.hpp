#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/api/host.hpp"
#include "daemon/core/supervisor.hpp"

namespace procd::api {

// Numbers every change, and tells it to those who subscribed and may see it. From the first subscription on
// it keeps the newest events, for `since`.
class EventStream {
  public:
    static constexpr std::size_t k_kept = 1024;
    static constexpr std::size_t k_kept_bytes = std::size_t{4} << 20;

    explicit EventStream(Host& host) : host_(host) {}

    std::int64_t seq() const { return seq_; }
    void publish(const core::Supervisor& core, core::EventType type, const core::Process& process);
    // Whether every event after `since` is still here.
    bool reaches_back_to(std::int64_t since) const;
    // From now on; and first those after `since`.
    void subscribe(const core::Caller& caller, std::optional<std::int64_t> since);
    bool subscribed(core::ConnectionId connection) const { return subscribers_.contains(connection); }
    void unsubscribe(core::ConnectionId connection) { subscribers_.erase(connection); }

    struct Event {
        std::int64_t seq;
        core::UserId uid;
        std::string line;
    };
    // All of it, for another program in this process.
    struct Frozen {
        std::int64_t seq = 0;
        bool wanted = false;
        std::vector<Event> kept;
        std::vector<core::Caller> subscribers;
    };
    Frozen freeze() const;
    void thaw(Frozen frozen);

  private:
    // False: too slow, and no subscriber any more.
    bool deliver(core::ConnectionId connection, const core::Caller& caller, const Event& event);

    Host& host_;
    std::int64_t seq_ = 0;
    bool wanted_ = false;  // somebody subscribed once
    std::deque<Event> kept_;
    std::size_t kept_bytes_ = 0;
    std::map<core::ConnectionId, core::Caller> subscribers_;
};

}  // namespace procd::api
