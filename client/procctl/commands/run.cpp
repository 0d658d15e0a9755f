#include <csignal>
#include <fcntl.h>
#include <unistd.h>
#include <vector>

#include "client/procctl/commands/commands.hpp"
#include "client/procctl/job_control.hpp"
#include "client/procctl/launch.hpp"
#include "client/procctl/relay.hpp"
#include "client/procctl/render.hpp"
#include "client/procctl/signals.hpp"

namespace procctl::commands {
namespace {

namespace proto = procd::proto;
using procd::client::Connection;
using procd::client::Deadline;

// How long programs have to make themselves ready for being stopped, before they are.
constexpr double k_before_stop_seconds = 0.1;
// And how long procd has to do it.
constexpr double k_answer_seconds = 2;
// How long the reader of its last output has, where procctl was asked to end.
constexpr double k_farewell_seconds = 1;
// How often it is looked whether the process has stopped by itself; on a terminal only.
constexpr double k_look_seconds = 0.25;

bool ends_by_default(int signal) {
    return signal != SIGWINCH && signal != SIGTSTP && signal != SIGCONT;
}

// A process in the foreground, from its start to its end.
class RunOf : private Attended {
  public:
    RunOf(Context& context, Connection& connection, Relay* relay)
        : context_(context), connection_(connection), relay_(relay) {}

    int run(const Launch& launch) {
        if (const auto over = start(launch)) return *over;
        proto::WaitParams wait{processes_, std::nullopt, std::nullopt};
        const auto waiting = context_.checked(connection_.send<proto::Wait>(wait, {}, context_.deadline));
        if (!waiting) return fail(waiting.error());
        waiting_ = *waiting;
        watch_for_stops();
        if (relay_ != nullptr)
            relay_->begin();
        else
            let_go_of_streams();

        for (const int signal : early_) take(signal);
        while (stop_asked_ || await(waiting_, context_.deadline) == Waited::stopped) suspend();
        if (!connection_.arrived(waiting_))
            return fail(timed_out(mention(process_) + ": timed out; " +
                                  (process_.daemon ? "procd ends it" : "it runs on")));
        drain();
        const auto ended = context_.checked(connection_.receive<proto::Wait>(waiting_));
        if (!ended) return fail(ended.error());
        if (relay_ != nullptr) relay_->pause();
        const auto& processes = ended->result.processes;
        return context_.answer(
            processes.empty() ? static_cast<int>(k_out_of_reach) : exit_status(processes[0]), *ended);
    }

  private:
    // ---- the start

    // The exit status where it fails. A signal that comes before it is known to run is for it all the same:
    // it may have exec'd already. A second one gives up on a start that hangs; procd ends what the dropped
    // connection may have started.
    std::optional<int> start(const Launch& launch) {
        const auto spawning =
            context_.checked(connection_.send<proto::Spawn>(launch.params, launch.fds, context_.deadline));
        if (!spawning) return fail(spawning.error());
        int fatal = 0;
        const auto keep = [&](int signal) {
            const bool second = ends_by_default(signal) && fatal != 0;
            if (ends_by_default(signal)) fatal = signal;
            early_.push_back(signal);
            return !second;
        };
        switch (await_reply(&connection_, *spawning, signals_, context_.deadline, keep)) {
            case Waited::arrived:
                break;
            case Waited::timed_out:
                return fail(timed_out("timed out before it was started"));
            case Waited::stopped:
                return k_signalled + fatal;
        }
        const auto started = context_.checked(connection_.receive<proto::Spawn>(*spawning));
        if (!started) return fail(started.error());
        process_ = started->result;
        processes_.push_back({process_.id, {}, std::nullopt});
        return std::nullopt;
    }

    // Where somebody at a terminal may be told. What is missing then is nothing but that.
    void watch_for_stops() {
        if (!open_controlling_terminal()) return;
        auto sentinel = connection_.call<proto::Sentinel>({processes_[0]}, {}, context_.deadline);
        if (sentinel && !sentinel->fds.empty()) watch_.emplace(std::move(sentinel->fds[0]));
    }

    // The process has them now; whoever is at their other ends waits for it, and not for procctl.
    void let_go_of_streams() {
        const procd::UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
        if (!null) return;
        ::dup2(null.get(), STDIN_FILENO);
        if (!context_.options.json) ::dup2(null.get(), STDOUT_FILENO);
    }

    // ---- while it runs

    Waited await(Connection::RequestId id, Deadline deadline) {
        return await_reply(
            &connection_, id, signals_, deadline, [this](int signal) { return take(signal); }, this);
    }

    // Returns false where procctl is to stop.
    bool take(int signal) {
        switch (signal) {
            case SIGTSTP:
                stop_asked_ = true;
                return suspending_;
            case SIGCONT:
                stop_asked_ = false;
                if (relay_ != nullptr) relay_->resume();
                forward(signal, true);
                return !suspending_;
            case SIGWINCH:
                if (relay_ != nullptr)
                    relay_->resize();
                else
                    forward(signal, true);
                break;
            default:
                if (signal != SIGUSR1 && signal != SIGUSR2) asked_to_end_ = true;
                // A terminal sends the first two to all that run in it.
                forward(signal, signal == SIGINT || signal == SIGQUIT);
        }
        return true;
    }

    proto::SignalParams to_process(int signal, bool tree) {
        return {processes_, {signal}, tree ? std::optional(true) : std::nullopt};
    }
    // When the connection is lost, the wait tells.
    void forward(int signal, bool tree) {
        static_cast<void>(static_cast<bool>(connection_.tell<proto::SendSignal>(to_process(signal, tree))));
    }

    Deadline prepare(std::vector<pollfd>& entries) override {
        if (watch_ && !look_at_) look_at_ = Deadline::after(k_look_seconds);
        const Deadline relay = relay_ != nullptr ? relay_->prepare(entries) : Deadline::never();
        return look_at_ ? relay.or_before(*look_at_) : relay;
    }
    bool attend(std::span<const pollfd> entries) override {
        if (relay_ != nullptr && !relay_->attend(entries)) return false;
        if (!look_at_ || !look_at_->passed()) return true;
        look_at_.reset();
        const bool stopped = watch_->is_stopped();
        stop_is_known_ = stop_is_known_ && stopped;
        return !stopped || stop_is_known_ || suspending_;
    }

    // ---- ^Z

    // As a job of a shell: its terminal sent a SIGTSTP, or its program stopped itself. Then procctl stops,
    // and goes on together with the program.
    void suspend() {
        suspending_ = true;
        const bool by_itself = !stop_asked_;
        const bool stops = by_itself || stop_tree();
        stop_asked_ = suspending_ = false;  // what comes from here on is a new one
        if (stops) {
            if (relay_ != nullptr) relay_->pause();
            const bool continued = stop_as_job();
            if (relay_ != nullptr) relay_->resume();
            // One that stopped itself where no shell notices is left to whoever knows why.
            stop_is_known_ = by_itself && !continued;
            if (!stop_is_known_) ask(SIGCONT);
        }
        look_at_.reset();
    }

    // All that runs is in a session without a shell, where the kernel drops a SIGTSTP that nobody catches. So
    // who catches it has a moment to make ready, and a SIGSTOP follows. False: it has ended or is to go on
    // meanwhile.
    bool stop_tree() {
        forward(SIGTSTP, true);
        if (await(waiting_, Deadline::after(k_before_stop_seconds)) != Waited::timed_out) return false;
        ask(SIGSTOP);
        return stop_asked_ && !connection_.arrived(waiting_);
    }

    // To the tree, and when this returns it has been sent.
    void ask(int signal) {
        const auto asked = connection_.send<proto::SendSignal>(to_process(signal, true));
        if (asked) await(*asked, Deadline::after(k_answer_seconds));
    }

    // ---- the end

    // What it has written last; a reader who does not take it is given up on when procctl is asked to end.
    void drain() {
        if (relay_ == nullptr) return;
        relay_->finish();
        await_reply(
            nullptr, 0, signals_, asked_to_end_ ? Deadline::after(k_farewell_seconds) : Deadline::never(),
            [](int signal) { return !ends_by_default(signal); }, relay_);
    }

    Failure timed_out(const std::string& what) const {
        return context_.failure({procd::client::Error::Kind::timed_out, what, {}, {}, 0, {}});
    }
    int fail(const Failure& failure) {
        if (relay_ != nullptr) relay_->pause();
        return context_.fail(failure);
    }

    Context& context_;
    Connection& connection_;
    Relay* const relay_;  // null: the process has procctl's own streams
    SignalSource signals_{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGTSTP, SIGWINCH, SIGCONT};
    std::vector<int> early_;
    proto::ProcessObject process_;
    std::vector<proto::Selector> processes_;  // that one
    Connection::RequestId waiting_ = 0;

    std::optional<StopWatch> watch_;
    std::optional<Deadline> look_at_;
    bool stop_asked_ = false;
    bool asked_to_end_ = false;
    bool stop_is_known_ = false;  // it stopped itself, and nobody minds
    bool suspending_ = false;
};

// A reader in the background, which the kernel cannot stop as it would one of the shell's own session, must
// not take what is typed for the shell.
bool stdin_is_the_shells() {
    return ::isatty(STDIN_FILENO) == 1 && !in_foreground(STDIN_FILENO);
}

void no_stdin(Launch& launch) {
    if (!launch.params.stdio) launch.params.stdio.emplace();
    if (!launch.params.stdio->in) launch.params.stdio->in = proto::StdioTarget{};
}

void pass_terminal(Launch& launch, int slave) {
    if (!launch.params.stdio) launch.params.stdio.emplace();
    const std::size_t index = launch.fds.size();
    launch.fds.push_back(slave);
    launch.params.terminal = static_cast<std::int64_t>(index);
    proto::Stdio& stdio = *launch.params.stdio;
    for (auto* target : {&stdio.in, &stdio.out, &stdio.err})
        if (!*target) *target = proto::StdioTarget{proto::StdioTarget::Kind::fd, index, {}, false};
}

}  // namespace

int run(Context& context) {
    auto launch = describe_launch(context.options, Owner{{proto::OwnerRef::Kind::connection, 0, {}}, {}});
    if (!launch) return context.fail(launch.error());
    launch->params.daemon = context.options.daemon.value_or(true);
    auto connected = context.connect();
    if (!connected) return context.fail(connected.error());

    std::optional<Relay> relay;
    if (context.options.pty) {
        auto pair = Relay::open_pair();
        if (!pair) return context.fail(pair.error());
        pass_terminal(*launch, pair->slave.get());
        relay.emplace(*std::move(pair));
    } else {
        if (stdin_is_the_shells()) no_stdin(*launch);
        pass_own_streams(*launch);
    }
    return RunOf(context, **connected, relay ? &*relay : nullptr).run(*launch);
}

}  // namespace procctl::commands
