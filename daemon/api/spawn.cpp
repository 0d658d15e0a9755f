#include "daemon/api/api.hpp"
#include "daemon/api/convert.hpp"
#include "daemon/api/creation.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Spawn> spawn(Call& call, const proto::CreateParams& params) {
    auto creation = creation_from(call, params);
    if (auto* error = std::get_if<proto::WireError>(&creation)) return std::move(*error);
    const auto deferred = call.api.defer_process(call);
    if (!deferred) return wire_error(deferred.refusal());
    const core::Token token = *deferred;
    const auto id = call.core.spawn(call.caller(), std::move(std::get<core::Creation>(creation)), token,
                                    call.now, call.actions);
    if (id) {
        call.about = std::to_string(*id) + " (" + call.core.find(*id)->name + ")";
        return Later{};
    }
    call.api.forget_deferred(token);
    return wire_error(id.refusal());
}

}  // namespace procd::api
