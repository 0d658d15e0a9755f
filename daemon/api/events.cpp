#include "daemon/api/events.hpp"

#include <vector>

#include "daemon/api/convert.hpp"
#include "proto/envelope.hpp"
#include "proto/messages.hpp"

namespace procd::api {

void EventStream::publish(const core::Supervisor& core, core::EventType type, const core::Process& process) {
    ++seq_;
    if (!wanted_) return;
    const core::Now now = host_.now();
    const proto::EventParams params{seq_, rfc3339(now.wall), wire_event(type),
                                    process_object(core, process, now)};
    const Event event{seq_, process.uid, proto::notification_line("event", proto::encode(params))};
    kept_.push_back(event);
    kept_bytes_ += event.line.size();
    while (kept_.size() > k_kept || kept_bytes_ > k_kept_bytes) {
        kept_bytes_ -= kept_.front().line.size();
        kept_.pop_front();
    }
    for (auto subscriber = subscribers_.begin(); subscriber != subscribers_.end();) {
        const bool keeps_up = deliver(subscriber->first, subscriber->second, event);
        subscriber = keeps_up ? std::next(subscriber) : subscribers_.erase(subscriber);
    }
}

bool EventStream::reaches_back_to(std::int64_t since) const {
    if (since > seq_) return false;  // of another procd
    return since == seq_ || (!kept_.empty() && kept_.front().seq <= since + 1);
}

void EventStream::subscribe(const core::Caller& caller, std::optional<std::int64_t> since) {
    wanted_ = true;
    subscribers_[caller.connection] = caller;
    if (!since) return;
    for (const Event& event : kept_) {
        if (event.seq <= *since || deliver(caller.connection, caller, event)) continue;
        subscribers_.erase(caller.connection);
        return;
    }
}

EventStream::Frozen EventStream::freeze() const {
    Frozen frozen{seq_, wanted_, {kept_.begin(), kept_.end()}, {}};
    for (const auto& [connection, caller] : subscribers_) frozen.subscribers.push_back(caller);
    return frozen;
}

void EventStream::thaw(Frozen frozen) {
    seq_ = frozen.seq;
    wanted_ = frozen.wanted;
    for (Event& event : frozen.kept) {
        kept_bytes_ += event.line.size();
        kept_.push_back(std::move(event));
    }
    for (core::Caller& caller : frozen.subscribers) {
        const core::ConnectionId connection = caller.connection;
        subscribers_.insert_or_assign(connection, std::move(caller));
    }
}

bool EventStream::deliver(core::ConnectionId connection, const core::Caller& caller, const Event& event) {
    if (!core::visible(caller, event.uid) || host_.send_event(connection, event.line)) return true;
    host_.send(connection, proto::notification_line("event", proto::OrderedJson{{"overflow", true}}));
    return false;
}

}  // namespace procd::api
