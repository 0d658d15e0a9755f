#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"
#include "client/procctl/render.hpp"

namespace procctl::commands {
namespace {

namespace proto = procd::proto;

// Prints what has arrived. False: events were lost, it takes a new subscription.
bool print_arrived(Context& context, procd::client::Connection& connection, std::int64_t& seen) {
    while (const auto notification = connection.next_notification()) {
        if (notification->method != "event") continue;
        if (notification->params.is_object() && notification->params.contains("overflow")) return false;
        const auto event = params_of<proto::EventParams>(*notification);
        if (!event) continue;
        seen = event->seq;
        if (context.options.json)
            context.out.line(proto::dump(procd::client::member_of(notification->line, "params")));
        else
            context.out.text(event_line(*event));
    }
    return true;
}

}  // namespace

int events(Context& context) {
    std::optional<std::int64_t> since = context.options.since;
    for (;;) {
        const auto subscribed = context.call<proto::Subscribe>({since});
        if (!subscribed) return context.fail(subscribed.error());
        const auto connection = context.connect();
        if (!connection) return context.fail(connection.error());
        std::int64_t seen = subscribed->result.seq;
        while (print_arrived(context, **connection, seen)) {
            if (!context.out.flush()) return k_refused;
            const auto more = (*connection)->pump(context.deadline);
            if (more) continue;
            if (more.error().kind == procd::client::Error::Kind::timed_out) return k_timed_out;
            return context.fail(context.failure(more.error()));
        }
        complain("procd was faster than this reader: continuing after event " + std::to_string(seen));
        since = seen;
    }
}

}  // namespace procctl::commands
