#include "client/procctl/commands/commands.hpp"
#include "client/procctl/commands/launching.hpp"

namespace procctl::commands {

int create(Context& context) {
    return launch<procd::proto::Create>(context);
}

}  // namespace procctl::commands
