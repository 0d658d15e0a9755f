#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {
namespace {

namespace proto = procd::proto;

// How much later than procd's own clock this side gives up.
constexpr double k_slack_seconds = 5;

// Every process of the session or process that procctl runs in that has not ended.
Outcome<Selection> all_of_own_scope(Context& context, procd::client::Deadline until) {
    const auto scope = context.own_scope();
    if (!scope) return scope.error();
    if (scope->kind == proto::OwnerRef::Kind::procd)
        return Failure::usage("wait: name a process: this is not inside a session or a process");
    proto::ListParams params;
    params.owner = *scope;
    const auto reply = context.call_until<proto::List>(params, {}, until);
    if (!reply) return reply.error();
    Selection selection;
    for (const auto& [process, only] : reply->result.processes)
        if (process.state == proto::State::running || process.state == proto::State::stopping)
            selection.selectors.push_back({process.id, {}, std::nullopt});
    return selection;
}

}  // namespace

int wait(Context& context) {
    const Options& options = context.options;
    const auto until = procd::client::Deadline::after(
        options.timeout ? std::optional(*options.timeout + k_slack_seconds) : std::nullopt);
    const auto selection = options.words.empty() ? all_of_own_scope(context, until) : context.select();
    if (!selection) return context.fail(selection.error());
    if (selection->selectors.empty()) return context.answer(k_done, proto::encode(proto::WaitResult{}));

    proto::WaitParams params;
    params.processes = selection->selectors;
    if (options.any) params.mode = proto::WaitMode::any;
    if (options.timeout) params.timeout = proto::Seconds{*options.timeout};
    const auto reply = context.call_until<proto::Wait>(params, selection->fds(), until);
    if (!reply) return context.fail(reply.error());
    const auto& result = reply->result;
    if (result.timed_out) return context.answer(k_timed_out, *reply);
    const bool one = options.words.size() == 1 && result.processes.size() == 1;
    return context.answer(one ? exit_status(result.processes[0]) : static_cast<int>(k_done), *reply);
}

}  // namespace procctl::commands
