#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Whoami> whoami(Call& call, const proto::Nothing&) {
    proto::WhoamiResult result;
    const core::Process* process =
        call.caller().enclosing ? call.core.find(*call.caller().enclosing) : nullptr;
    // Not null: who takes that for "inside of nothing" would give its processes another owner in silence.
    if (process && !core::visible(call.caller(), process->uid))
        return refuse(
            proto::ErrorKind::not_permitted,
            "this runs inside process " + std::to_string(process->id) + ", which belongs to another user");
    if (process) {
        result.process = process_object(call.core, *process, call.now);
        if (process->owner.kind == core::OwnerKind::session) result.session = result.process->owner.session;
    }
    // One that was opened inside of the process is nearer.
    const auto session = call.host.session_around(call.peer.connection);
    if (!session) return wire_error(session.refusal());
    if (*session) result.session = core::session_text(**session);
    return result;
}

}  // namespace procd::api
