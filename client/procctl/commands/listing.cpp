#include "client/procctl/commands/listing.hpp"

#include "client/procctl/inherited.hpp"
#include "client/procctl/render.hpp"
#include "client/procctl/text.hpp"

namespace procctl {
namespace {

namespace proto = procd::proto;

constexpr std::size_t k_ended_shown = 10;

}  // namespace

int show_table(Context& context, const proto::ListParams& params, const std::vector<int>& fds) {
    const auto reply = context.call<proto::List>(params, fds);
    if (!reply) return context.fail(reply.error());
    if (context.options.json) return context.answer(k_done, *reply);

    std::vector<proto::ProcessObject> processes;
    for (const auto& view : reply->result.processes) processes.push_back(view.process);
    const std::size_t hidden = context.options.all ? 0 : keep_newest_ended(processes, k_ended_shown);
    const std::size_t columns = terminal_columns();
    TableStyle style;
    style.colour = columns > 0 && !variable("NO_COLOR");
    if (columns > 0) style.columns = columns;
    context.out.text(table(processes, style));
    if (columns == 0 || !stderr_is_terminal()) return k_done;

    // Words for people, around the data.
    if (!context.out.flush()) return k_refused;
    if (hidden > 0) say("(" + std::to_string(hidden) + " that ended earlier are left out: -a shows them)");
    if (const auto hello = context.call<proto::Hello>({}))
        say("containment: " + escaped(hello->result.containment));
    return k_done;
}

}  // namespace procctl
