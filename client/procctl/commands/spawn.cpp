#include "client/procctl/commands/commands.hpp"
#include "client/procctl/commands/launching.hpp"

namespace procctl::commands {

int spawn(Context& context) {
    return launch<procd::proto::Spawn>(context);
}

}  // namespace procctl::commands
