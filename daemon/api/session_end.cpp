#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::SessionEnd> session_end(Call& call, const proto::SessionEndParams& params) {
    const auto number = proto::session_number(params.session);
    if (!number)
        return refuse(proto::ErrorKind::bad_request, "params.session: expected a session like \"s7\"");
    const auto left = call.core.end_session(call.caller(), *number, call.now, call.actions);
    if (!left) return wire_error(left.refusal());
    return proto::ProcessesResult{process_objects(call.core, *left, call.now)};
}

}  // namespace procd::api
