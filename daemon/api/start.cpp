#include "daemon/api/api.hpp"
#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Start> start(Call& call, const proto::OneProcess& params) {
    const auto id = resolve_one(call, params.process, core::Want::initial);
    if (const auto* error = std::get_if<proto::WireError>(&id)) return *error;
    const auto deferred = call.api.defer_process(call);
    if (!deferred) return wire_error(deferred.refusal());
    const core::Token token = *deferred;
    const auto started =
        call.core.start(call.caller(), std::get<core::ProcessId>(id), token, call.now, call.actions);
    if (started) return Later{};
    call.api.forget_deferred(token);
    return wire_error(started.refusal());
}

}  // namespace procd::api
