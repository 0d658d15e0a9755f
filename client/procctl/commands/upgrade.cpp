#include "client/procctl/commands/commands.hpp"
#include "client/procctl/inherited.hpp"
#include "client/procctl/text.hpp"

namespace procctl::commands {

int upgrade(Context& context) {
    const auto binary = absolute_path(context.options.binary);
    if (!binary) return context.fail(binary.error());
    procd::proto::UpgradeParams params;
    if (context.options.binary) params.binary = procd::proto::Bytes{*binary};
    const auto reply = context.call<procd::proto::Upgrade>(params);
    if (!reply) return context.fail(reply.error());
    return context.answer(k_done, *reply, [&] { context.out.line(escaped(reply->result.version)); });
}

}  // namespace procctl::commands
