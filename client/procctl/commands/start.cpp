#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {

int start(Context& context) {
    const auto reply = ask_about_one<procd::proto::Start>(context);
    if (!reply) return context.fail(reply.error());
    return context.answer(k_done, *reply);
}

}  // namespace procctl::commands
