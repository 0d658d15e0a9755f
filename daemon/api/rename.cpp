#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"
#include "daemon/core/names.hpp"

namespace procd::api {

AnswerTo<proto::Rename> rename(Call& call, const proto::RenameParams& params) {
    const auto problem =
        params.name.empty() ? std::optional<std::string>("is empty") : core::name_problem(params.name);
    if (problem) return refuse(proto::ErrorKind::bad_request, "params.name: " + *problem);
    const auto id = resolve_one(call, params.process);
    if (const auto* error = std::get_if<proto::WireError>(&id)) return *error;
    const auto renamed = call.core.rename(std::get<core::ProcessId>(id), params.name);
    if (!renamed) return wire_error(renamed.refusal());
    return process_object(call.core, *call.core.find(std::get<core::ProcessId>(id)), call.now);
}

}  // namespace procd::api
