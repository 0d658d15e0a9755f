#include "daemon/api/api.hpp"
#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Terminate> terminate(Call& call, const proto::TerminateParams& params) {
    const auto found = resolve_many(call, params.processes);
    if (const auto* error = std::get_if<proto::WireError>(&found)) return *error;
    const auto& ids = std::get<std::vector<core::ProcessId>>(found);
    std::optional<core::Duration> grace;
    if (params.grace) grace = duration(*params.grace);
    const bool wait = params.wait.value_or(false) && !ids.empty();
    // Asked from inside one of them it is no deadlock: the asker ends with it.
    core::Caller caller = call.caller();
    caller.enclosing.reset();
    std::optional<core::Token> token;
    if (wait) {
        const auto deferred = call.api.defer_wait(call, ids);
        if (!deferred) return wire_error(deferred.refusal());
        token = *deferred;
        if (const auto problem = call.core.wait_problem(caller, ids, core::WaitMode::all)) {
            call.api.forget_deferred(*token);
            return wire_error(*problem);
        }
    }
    const auto terminated = call.core.terminate(ids, grace, call.now, call.actions);
    if (!terminated && token) call.api.forget_deferred(*token);
    if (!terminated) return wire_error(terminated.refusal());
    if (!token) return proto::ProcessesResult{process_objects(call.core, ids, call.now)};
    const auto waiting =
        call.core.wait(caller, ids, core::WaitMode::all, std::nullopt, *token, call.now, call.actions);
    if (waiting) return Later{};
    call.api.forget_deferred(*token);
    return wire_error(waiting.refusal());
}

}  // namespace procd::api
