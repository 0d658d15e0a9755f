#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {

int alive(Context& context) {
    const auto reply = ask_about_one<procd::proto::Status>(context);
    if (!reply) return context.fail_unknown(reply.error());
    const bool alive = reply->result.alive;
    return context.answer(alive ? k_done : k_not_now, *reply,
                          [&] { context.out.line(alive ? "true" : "false"); });
}

}  // namespace procctl::commands
