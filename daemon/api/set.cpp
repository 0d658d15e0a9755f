#include "daemon/api/convert.hpp"
#include "daemon/api/creation.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Set> set(Call& call, const proto::SetParams& params) {
    const auto found = resolve_one(call, params.process);
    if (const auto* error = std::get_if<proto::WireError>(&found)) return *error;
    const auto id = std::get<core::ProcessId>(found);
    if (params.daemon)
        if (const auto problem = call.core.daemon_problem(call.caller(), id, *params.daemon))
            return wire_error(*problem);
    if (params.owner) {
        auto owner = choose_owner(call, *params.owner);
        if (auto* error = std::get_if<proto::WireError>(&owner)) return std::move(*error);
        const auto moved =
            call.core.set_owner(call.caller(), id, std::get<core::OwnerChoice>(owner), call.actions);
        if (!moved) return wire_error(moved.refusal());
    }
    if (params.daemon)
        if (const auto changed = call.core.set_daemon(call.caller(), id, *params.daemon); !changed)
            return wire_error(changed.refusal());
    const core::Process* process = call.core.find(id);
    if (!process) return refuse(proto::ErrorKind::no_such_process, "no such process: " + std::to_string(id));
    return process_object(call.core, *process, call.now);
}

}  // namespace procd::api
