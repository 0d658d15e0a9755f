#include "daemon/api/convert.hpp"
#include "daemon/api/creation.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Create> create(Call& call, const proto::CreateParams& params) {
    auto creation = creation_from(call, params);
    if (auto* error = std::get_if<proto::WireError>(&creation)) return std::move(*error);
    const auto id = call.core.create(call.caller(), std::move(std::get<core::Creation>(creation)), call.now);
    if (!id) return wire_error(id.refusal());
    call.about = std::to_string(*id) + " (" + call.core.find(*id)->name + ")";
    return process_object(call.core, *call.core.find(*id), call.now);
}

}  // namespace procd::api
