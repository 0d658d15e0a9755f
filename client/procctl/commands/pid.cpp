#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {

int pid(Context& context) {
    const auto reply = ask_about_one<procd::proto::Status>(context);
    if (!reply) return context.fail_unknown(reply.error());
    const auto& pid = reply->result.pid;
    return context.answer(pid ? k_done : k_not_now, *reply, [&] {
        if (pid) context.out.line(std::to_string(*pid));
    });
}

}  // namespace procctl::commands
