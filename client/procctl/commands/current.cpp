#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {

int current(Context& context) {
    const auto reply = context.call<procd::proto::Whoami>({});
    if (!reply) return context.fail(reply.error());
    const auto& process = reply->result.process;
    return context.answer(process ? k_done : k_not_now, *reply, [&] {
        if (!process) return;
        switch (context.options.current) {
            case Options::Current::id:
                return context.out.line(std::to_string(process->id));
            case Options::Current::name:
                return context.out.line(process->name);
            case Options::Current::pid:
                break;
        }
        if (process->pid) context.out.line(std::to_string(*process->pid));
    });
}

}  // namespace procctl::commands
