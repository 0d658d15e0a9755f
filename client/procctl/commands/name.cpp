#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {

int name(Context& context) {
    const auto& words = context.options.words;
    if (words.size() == 1) {
        const auto reply = ask_about_one<procd::proto::Status>(context);
        if (!reply) return context.fail(reply.error());
        return context.answer(k_done, *reply, [&] { context.out.line(reply->result.name); });
    }
    const auto selection = context.select({words[0]});
    if (!selection) return context.fail(selection.error());
    const auto reply =
        context.call<procd::proto::Rename>({selection->selectors[0], words[1]}, selection->fds());
    if (!reply) return context.fail(reply.error());
    return context.answer(k_done, *reply);
}

}  // namespace procctl::commands
