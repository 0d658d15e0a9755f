#include "client/procctl/commands/commands.hpp"
#include "client/procctl/text.hpp"

namespace procctl::commands {

int info(Context& context) {
    const auto reply = context.call<procd::proto::Hello>({});
    if (!reply) return context.fail(reply.error());
    const auto connection = context.connect();
    if (!connection) return context.fail(connection.error());
    return context.answer(k_done, *reply, [&] {
        const auto line = [&](const char* key, const std::string& value) {
            context.out.line(std::string(key) + ": " + escaped(value));
        };
        const auto& hello = reply->result;
        line("server", hello.server + " " + hello.version);
        line("socket", (*connection)->path());
        line("protocol", std::to_string(hello.protocol));
        line("pid", std::to_string(hello.pid));
        line("uid", std::to_string(hello.uid));
        line("boot_id", hello.boot_id);
        line("containment", hello.containment);
        std::string capabilities;
        for (const auto& each : hello.capabilities)
            capabilities.append(capabilities.empty() ? "" : " ").append(each);
        line("capabilities", capabilities);
    });
}

}  // namespace procctl::commands
