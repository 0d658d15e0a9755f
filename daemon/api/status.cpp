#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Status> status(Call& call, const proto::OneProcess& params) {
    const auto id = resolve_one(call, params.process);
    if (const auto* error = std::get_if<proto::WireError>(&id)) return *error;
    call.host.refresh(std::get<core::ProcessId>(id));
    // An ended record may be evicted by that; who asked saw it live a moment ago.
    const core::Process* process = call.core.find(std::get<core::ProcessId>(id));
    if (!process) return refuse(proto::ErrorKind::no_such_process, "no such process");
    return process_object(call.core, *process, call.now);
}

}  // namespace procd::api
