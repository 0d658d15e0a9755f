#include <string>
#include <vector>

#include "client/procctl/cli.hpp"
#include "client/procctl/commands/commands.hpp"
#include "client/procctl/context.hpp"
#include "client/procctl/exit_codes.hpp"
#include "client/procctl/output.hpp"

int main(int argc, char** argv) {
    procctl::prepare_streams();
    auto parsed =
        procctl::parse_command_line(std::vector<std::string>(argv + (argc > 0 ? 1 : 0), argv + argc));
    if (const auto* answer = std::get_if<procctl::Answer>(&parsed)) {
        procctl::Output out;
        out.text(answer->out);
        if (!answer->err.empty()) procctl::say(answer->err.substr(0, answer->err.find_last_not_of('\n') + 1));
        return out.flush() ? answer->status : static_cast<int>(procctl::k_refused);
    }
    procctl::Context context(std::get<procctl::Options>(parsed));
    const int status = procctl::run_verb(context);
    return context.out.flush() ? status : static_cast<int>(procctl::k_refused);
}
