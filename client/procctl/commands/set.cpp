#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {

int set(Context& context) {
    const auto selection = context.select();
    if (!selection) return context.fail(selection.error());
    procd::proto::SetParams params{selection->selectors[0], context.options.daemon, std::nullopt};
    Owner owner;
    std::vector<int> fds;
    if (context.options.owner) {
        auto resolved = context.resolve(*parse_owner(*context.options.owner));
        if (!resolved) return context.fail(resolved.error());
        owner = *std::move(resolved);
        params.owner = owner.ref;
        if (owner.pidfd) fds.push_back(owner.pidfd.get());
    }
    const auto reply = context.call<procd::proto::Set>(params, fds);
    if (!reply) return context.fail(reply.error());
    return context.answer(k_done, *reply);
}

}  // namespace procctl::commands
