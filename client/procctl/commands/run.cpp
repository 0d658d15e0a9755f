#include <csignal>
#include <vector>

#include "client/procctl/commands/commands.hpp"
#include "client/procctl/launch.hpp"
#include "client/procctl/render.hpp"
#include "client/procctl/signals.hpp"

namespace procctl::commands {
namespace {

namespace proto = procd::proto;

// A terminal sends these to all that run in it.
bool is_for_the_tree(int signal) {
    return signal == SIGINT || signal == SIGQUIT;
}

bool ends_by_default(int signal) {
    return signal != SIGWINCH;
}

}  // namespace

int run(Context& context) {
    auto launch = describe_launch(context.options, Owner{{proto::OwnerRef::Kind::connection, 0, {}}, {}});
    if (!launch) return context.fail(launch.error());
    pass_own_streams(*launch);
    launch->params.daemon = context.options.daemon.value_or(true);
    auto connected = context.connect();
    if (!connected) return context.fail(connected.error());
    auto& connection = **connected;

    SignalSource signals{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};
    const auto timed_out = [&](const std::string& what) {
        return context.fail(context.failure({procd::client::Error::Kind::timed_out, what, {}, {}, 0, {}}));
    };

    // A signal that comes before it is known to run is for it all the same: it may have exec'd already. A
    // second one gives up on a start that hangs; procd ends what the dropped connection may have started.
    std::vector<int> early;
    int stopped_by = 0;
    const auto spawning =
        context.checked(connection.send<proto::Spawn>(launch->params, launch->fds, context.deadline));
    if (!spawning) return context.fail(spawning.error());
    switch (await_reply(&connection, *spawning, signals, context.deadline, [&](int signal) {
        if (!early.empty() && ends_by_default(signal))
            stopped_by = signal;
        else
            early.push_back(signal);
        return stopped_by == 0;
    })) {
        case Waited::arrived:
            break;
        case Waited::timed_out:
            return timed_out("timed out before it was started");
        case Waited::stopped:
            return k_signalled + stopped_by;
    }
    const auto started = context.checked(connection.receive<proto::Spawn>(*spawning));
    if (!started) return context.fail(started.error());
    const proto::ProcessObject& process = started->result;

    proto::WaitParams wait;
    wait.processes.push_back({process.id, {}, std::nullopt});
    const auto waiting = context.checked(connection.send<proto::Wait>(wait, {}, context.deadline));
    if (!waiting) return context.fail(waiting.error());
    const auto forward = [&](int signal) {
        proto::SignalParams params{wait.processes, {signal}, std::nullopt};
        if (is_for_the_tree(signal)) params.tree = true;
        // When the connection is lost, the wait tells.
        static_cast<void>(static_cast<bool>(connection.tell<proto::SendSignal>(params)));
        return true;
    };
    for (const int signal : early) forward(signal);
    if (await_reply(&connection, *waiting, signals, context.deadline, forward) == Waited::timed_out)
        return timed_out(mention(process) + ": timed out; " +
                         (process.daemon ? "procd ends it" : "it runs on"));
    const auto ended = context.checked(connection.receive<proto::Wait>(*waiting));
    if (!ended) return context.fail(ended.error());
    const auto& processes = ended->result.processes;
    return context.answer(processes.empty() ? static_cast<int>(k_out_of_reach) : exit_status(processes[0]),
                          *ended);
}

}  // namespace procctl::commands
