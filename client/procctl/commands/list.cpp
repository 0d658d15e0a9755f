#include "client/procctl/commands/commands.hpp"
#include "client/procctl/commands/listing.hpp"

namespace procctl::commands {

int list(Context& context) {
    procd::proto::ListParams params;
    params.name = context.options.name;
    params.daemon = context.options.daemon;
    params.alive = context.options.alive;
    Owner owner;
    if (context.options.owner) {
        auto resolved = context.resolve(*parse_owner(*context.options.owner));
        if (!resolved) return context.fail(resolved.error());
        owner = *std::move(resolved);
        params.owner = owner.ref;
    }
    return show_table(context, params, owner.pidfd ? std::vector{owner.pidfd.get()} : std::vector<int>{});
}

}  // namespace procctl::commands
