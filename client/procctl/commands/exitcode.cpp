#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {

int exitcode(Context& context) {
    const auto reply = ask_about_one<procd::proto::Status>(context);
    if (!reply) return context.fail_unknown(reply.error());
    const auto& exitcode = reply->result.exitcode;
    return context.answer(exitcode ? k_done : k_not_now, *reply, [&] {
        if (exitcode) context.out.line(std::to_string(*exitcode));
    });
}

}  // namespace procctl::commands
