#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Shutdown> shutdown(Call& call, const proto::ShutdownParams& params) {
    const bool at_once = params.now.value_or(false);
    if (at_once && params.wait.value_or(false))
        return refuse(proto::ErrorKind::bad_request, "params.now: excludes wait");
    const auto begun = call.core.shutdown(params.wait.value_or(false), at_once, call.now, call.actions);
    if (!begun) return wire_error(begun.refusal());
    return proto::Nothing{};
}

}  // namespace procd::api
