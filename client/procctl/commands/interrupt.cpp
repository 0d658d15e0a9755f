#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {

int interrupt(Context& context) {
    return tell_many<procd::proto::Interrupt>(context, context.options.words, [&](auto& params) {
        if (context.options.tree) params.tree = true;
    });
}

}  // namespace procctl::commands
