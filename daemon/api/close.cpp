#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Close> close(Call& call, const proto::ManyProcesses& params) {
    const auto found = resolve_many(call, params.processes, core::Want::ended);
    if (const auto* error = std::get_if<proto::WireError>(&found)) return *error;
    const auto& ids = std::get<std::vector<core::ProcessId>>(found);
    const auto closed = call.core.close(ids, call.actions);
    if (!closed) return wire_error(closed.refusal());
    return proto::CloseResult{ids};
}

}  // namespace procd::api
