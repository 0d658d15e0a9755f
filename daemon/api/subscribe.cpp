#include "daemon/api/api.hpp"
#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Subscribe> subscribe(Call& call, const proto::SubscribeParams& params) {
    EventStream& events = call.api.events();
    proto::SubscribeResult result;
    std::optional<std::int64_t> since = params.since;
    if (since && !events.reaches_back_to(*since)) since.reset();
    if (since) {
        result.seq = *since;
    } else {
        result.seq = events.seq();
        for (const auto& [id, process] : call.core.processes())
            if (core::visible(call.caller(), process.uid))
                result.processes.push_back(process_object(call.core, process, call.now));
    }
    // The answer first, then the events.
    call.after_reply = [&events, caller = call.caller(), since] { events.subscribe(caller, since); };
    return result;
}

}  // namespace procd::api
