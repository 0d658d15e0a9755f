#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"

namespace procctl::commands {

int close(Context& context) {
    return tell_many<procd::proto::Close>(context, context.options.words, [](auto&) {});
}

}  // namespace procctl::commands
