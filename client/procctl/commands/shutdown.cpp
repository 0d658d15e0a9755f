#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {

int shutdown(Context& context) {
    procd::proto::ShutdownParams params;
    if (context.options.wait) params.wait = true;
    if (context.options.now) params.now = true;
    const auto reply = context.call<procd::proto::Shutdown>(params);
    if (!reply) return context.fail(reply.error());
    if (context.options.wait) {
        const auto connection = context.connect();
        if (!connection) return context.fail(connection.error());
        for (;;) {
            const auto more = (*connection)->pump(context.deadline);
            if (more) continue;
            if (more.error().kind != procd::client::Error::Kind::timed_out) break;  // procd is gone
            return context.fail(context.failure(more.error()));
        }
    }
    return context.answer(k_done, *reply);
}

}  // namespace procctl::commands
