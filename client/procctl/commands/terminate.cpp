#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {

int terminate(Context& context) {
    return tell_many<procd::proto::Terminate>(context, context.options.words, [&](auto& params) {
        if (context.options.grace) params.grace = procd::proto::Seconds{*context.options.grace};
        if (context.options.wait) params.wait = true;
    });
}

}  // namespace procctl::commands
