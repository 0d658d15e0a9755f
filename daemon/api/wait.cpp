#include "daemon/api/api.hpp"
#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Wait> wait(Call& call, const proto::WaitParams& params) {
    if (params.processes.empty()) return refuse(proto::ErrorKind::bad_request, "params.processes: is empty");
    const auto found = resolve_many(call, params.processes);
    if (const auto* error = std::get_if<proto::WireError>(&found)) return *error;
    const auto mode = params.mode == proto::WaitMode::any ? core::WaitMode::any : core::WaitMode::all;
    std::optional<core::Duration> timeout;
    if (params.timeout) timeout = duration(*params.timeout);
    const auto deferred = call.api.defer_wait(call, std::nullopt);
    if (!deferred) return wire_error(deferred.refusal());
    const core::Token token = *deferred;
    const auto waiting = call.core.wait(call.caller(), std::get<std::vector<core::ProcessId>>(found), mode,
                                        timeout, token, call.now, call.actions);
    if (waiting) return Later{};
    call.api.forget_deferred(token);
    return wire_error(waiting.refusal());
}

}  // namespace procd::api
