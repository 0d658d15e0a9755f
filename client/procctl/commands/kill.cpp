#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {

int kill(Context& context) {
    if (!context.options.wait)
        return tell_many<procd::proto::Kill>(context, context.options.words, [](auto&) {});

    const auto selection = context.select();
    if (!selection) return context.fail(selection.error());
    const auto killed = context.call<procd::proto::Kill>({selection->selectors}, selection->fds());
    if (!killed) return context.fail(killed.error());
    procd::proto::WaitParams wait;
    for (const auto& process : killed->result.processes)
        wait.processes.push_back({process.id, {}, std::nullopt});
    if (wait.processes.empty()) return context.answer(k_done, *killed);
    const auto gone = context.call<procd::proto::Wait>(wait);
    if (!gone) return context.fail(gone.error());
    return context.answer(k_done, *gone);
}

}  // namespace procctl::commands
