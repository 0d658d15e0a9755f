#include <algorithm>

#include "client/procctl/commands/commands.hpp"
#include "client/procctl/commands/listing.hpp"
#include "client/procctl/render.hpp"

namespace procctl::commands {

int status(Context& context) {
    using procd::proto::Status;
    if (context.options.words.empty()) {
        procd::proto::ListParams params;
        return show_table(context, params, {});
    }
    const auto selection = context.select();
    if (!selection) return context.fail_unknown(selection.error());

    // The worst of them all: unknown, not alive, alive.
    int status = k_done;
    for (std::size_t i = 0; i < selection->selectors.size(); ++i) {
        const auto reply = context.call<Status>({selection->selectors[i]}, selection->fds());
        if (!reply) {
            const int failed = context.fail_unknown(reply.error());
            if (failed != k_unknown) return failed;
            status = k_unknown;
            continue;
        }
        if (!reply->result.alive) status = std::max<int>(status, k_not_now);
        context.answer(status, *reply, [&] {
            if (i > 0) context.out.line("");
            context.out.text(details(reply->result));
        });
    }
    return status;
}

}  // namespace procctl::commands
