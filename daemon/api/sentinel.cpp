#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Sentinel> sentinel(Call& call, const proto::OneProcess& params) {
    const auto id = resolve_one(call, params.process);
    if (const auto* error = std::get_if<proto::WireError>(&id)) return *error;
    const core::Process* process = call.core.find(std::get<core::ProcessId>(id));
    if (process->state() == core::State::initial)
        return refuse(proto::ErrorKind::not_started, "process not started");
    auto sentinel = call.host.sentinel(call.peer.connection, process->id);
    if (!sentinel) return wire_error(sentinel.refusal());
    call.reply_descriptor = std::move(*sentinel);
    return proto::SentinelResult{0};
}

}  // namespace procd::api
