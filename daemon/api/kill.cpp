#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Kill> kill(Call& call, const proto::ManyProcesses& params) {
    const auto found = resolve_many(call, params.processes);
    if (const auto* error = std::get_if<proto::WireError>(&found)) return *error;
    const auto& ids = std::get<std::vector<core::ProcessId>>(found);
    const auto killed = call.core.kill(ids, call.now, call.actions);
    if (!killed) return wire_error(killed.refusal());
    return proto::ProcessesResult{process_objects(call.core, ids, call.now)};
}

}  // namespace procd::api
