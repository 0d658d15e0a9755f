#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Status> status(Call& call, const proto::OneProcess& params) {
    const auto id = resolve_one(call, params.process);
    if (const auto* error = std::get_if<proto::WireError>(&id)) return *error;
    return process_object(call.core, *call.core.find(std::get<core::ProcessId>(id)), call.now);
}

}  // namespace procd::api
