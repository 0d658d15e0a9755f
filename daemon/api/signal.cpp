#include <csignal>

#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {
namespace {

Answer<proto::ProcessesResult> send(Call& call, const std::vector<proto::Selector>& processes, int number,
                                    bool tree) {
    const auto found = resolve_many(call, processes);
    if (const auto* error = std::get_if<proto::WireError>(&found)) return *error;
    const auto& ids = std::get<std::vector<core::ProcessId>>(found);
    // procd's own rights are not the caller's: a program that has become another user is not his to signal,
    // as kill(2) has it. (terminate and kill end the tree whatever became of it.)
    std::optional<core::UserId> sender;
    if (call.host.self().uid == 0 && call.peer.uid != 0) sender = call.peer.uid;
    for (const core::ProcessId id : ids) {
        if (!sender || tree) break;
        const auto may = call.host.may_signal(id, *sender);
        if (!may) return wire_error(may.refusal());
        if (!*may)
            return refuse(
                proto::ErrorKind::not_permitted,
                call.core.find(id)->name + " (id " + std::to_string(id) + ") runs as another user by now");
    }
    const auto sent = call.core.signal(ids, core::ClientSignal{number, tree, sender}, call.actions);
    if (!sent) return wire_error(sent.refusal());
    return proto::ProcessesResult{process_objects(call.core, ids, call.now)};
}

}  // namespace

AnswerTo<proto::SendSignal> signal(Call& call, const proto::SignalParams& params) {
    return send(call, params.processes, params.signal.number, params.tree.value_or(false));
}

AnswerTo<proto::Interrupt> interrupt(Call& call, const proto::InterruptParams& params) {
    return send(call, params.processes, SIGINT, params.tree.value_or(false));
}

}  // namespace procd::api
