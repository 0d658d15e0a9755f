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
    const auto sent = call.core.signal(ids, number, tree, call.actions);
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
