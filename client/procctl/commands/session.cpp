#include <algorithm>
#include <csignal>
#include <map>
#include <sys/wait.h>
#include <unistd.h>

#include "client/procctl/caller.hpp"
#include "client/procctl/child.hpp"
#include "client/procctl/commands/commands.hpp"
#include "client/procctl/inherited.hpp"
#include "client/procctl/render.hpp"
#include "client/procctl/signals.hpp"
#include "client/procctl/strays.hpp"
#include "client/procctl/text.hpp"

namespace procctl::commands {
namespace {

namespace proto = procd::proto;
using procd::client::Connection;
using procd::client::Deadline;

constexpr double k_last_words_seconds = 2;  // for a question on the way out

// A session around a command, from the lease to the last process.
class SessionOf {
  public:
    SessionOf(Context& context, Connection& connection)
        : context_(context), connection_(connection), signals_{SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP} {}

    // Runs the command, and then waits for (or ends) what it left. Returns the exit status.
    int run(const std::string& session, bool inside_a_process) {
        session_ = session;
        adopt_orphans();
        std::vector<std::pair<std::string, std::string>> variables{{"PROCD_SESSION", session}};
        if (auto path = absolute_path(connection_.path())) variables.emplace_back("PROCD_SOCKET", *path);
        // Whatever procctl starts inside belongs to the session, which is nearer than the process around it.
        if (inside_a_process) variables.emplace_back("PROCD_OWNER", "session:" + session);
        auto child = start_child(context_.options.words, variables, signals_.mask_before());
        if (!child) return context_.fail(child.error());
        child_ = *std::move(child);

        await_command();
        deadline_ = Deadline::after(context_.options.timeout);
        const int status = command_status_;
        if (!lost_ && end_session()) {
            if (context_.options.fail_on_leak) end_leaks();
            await_processes();
        }
        if (!outcome_ && context_.options.fail_on_leak) sweep_strays();
        if (outcome_) return *outcome_;
        return leaks_ > 0 && status == 0 ? static_cast<int>(k_refused) : status;
    }

  private:
    // ---- while the command runs

    void await_command() {
        const auto on_signal = [this](int signal) {
            if (signal == SIGTERM || signal == SIGHUP)
                pidfd_send(child_.pidfd, signal);
            else
                take(signal);
            return !command_ended_;
        };
        while (!command_ended_) {
            // A request that is never sent: only signals and the end of the connection are waited for.
            const auto waited =
                await_reply(lost_ ? nullptr : &connection_, 0, signals_, Deadline::never(), on_signal);
            if (waited == Waited::arrived) lose("what was started in this session is on its own");
        }
    }

    // What a signal means at any time. A Ctrl-C is the command's: the terminal sends it there, too.
    void take(int signal) {
        if (signal == SIGINT) ++interrupts_;
        if (signal != SIGCHLD) return;
        int status = 0;
        for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
            if (pid != child_.pid) continue;  // adopted
            command_ended_ = true;
            command_status_ = WIFSIGNALED(status) ? k_signalled + WTERMSIG(status) : WEXITSTATUS(status);
        }
    }

    void lose(const std::string& consequence) {
        lost_ = true;
        const auto why = connection_.pump(Deadline::after(0.0));
        complain((why ? std::string("lost procd") : escaped(why.error().message)) + "; " + consequence);
    }

    // ---- after it

    // While waiting for processes: the second Ctrl-C, or a signal that asks procctl to end, stops it.
    bool go_on_after(int signal) {
        take(signal);
        if (signal == SIGTERM || signal == SIGHUP) outcome_ = k_signalled + signal;
        if (signal == SIGINT && interrupts_ >= 2) outcome_ = k_signalled + SIGINT;
        if (signal == SIGINT && interrupts_ == 1)
            complain("waiting for " + names_of_left() + "; another Ctrl-C leaves them to procd");
        return !outcome_;
    }

    // The reply, or nothing: then it is said why, and outcome_ or lost_ is set.
    template <class Method>
    std::optional<typename Method::Result> ask(const typename Method::Params& params) {
        const auto id = connection_.send<Method>(params, {}, deadline_);
        if (id) return finish<Method>(*id);
        failed(context_.failure(id.error()));
        return std::nullopt;
    }
    template <class Method>
    std::optional<typename Method::Result> finish(Connection::RequestId id) {
        const auto waited = await_reply(&connection_, id, signals_, deadline_,
                                        [this](int signal) { return go_on_after(signal); });
        if (waited == Waited::timed_out) {
            complain("timed out; left: " + names_of_left());
            outcome_ = k_timed_out;
        }
        if (waited != Waited::arrived) return std::nullopt;
        auto reply = connection_.receive<Method>(id);
        if (reply) {
            if constexpr (std::same_as<Method, proto::SessionEnd>) json_ = reply->json();
            return std::move(reply->result);
        }
        failed(context_.failure(reply.error()));
        return std::nullopt;
    }
    void failed(const Failure& failure) {
        forgotten_ = failure.is(proto::ErrorKind::no_such_process);
        if (forgotten_) return;
        lost_ = true;
        complain(escaped(failure.message));
    }

    // True: left_ and leaks are known.
    bool end_session() {
        // In one go, and the list first: the end of the session may take its daemons off the list.
        proto::ListParams list;
        list.owner = proto::OwnerRef{proto::OwnerRef::Kind::session, 0, session_};
        const auto listing = connection_.send<proto::List>(list, {}, deadline_);
        const auto ending = connection_.send<proto::SessionEnd>({session_}, {}, deadline_);
        if (!listing || !ending) {
            failed(context_.failure(listing ? ending.error() : listing.error()));
            return false;
        }
        if (const auto listed = finish<proto::List>(*listing))
            for (const auto& [process, only] : listed->processes) remember(process);
        else
            return false;
        const auto ended = finish<proto::SessionEnd>(*ending);
        if (!ended) return false;
        for (const auto& process : ended->processes) {
            remember(process);
            undaemonic_.push_back(process.id);
        }
        context_.answer(k_done, json_);
        return true;
    }

    void remember(const proto::ProcessObject& process) {
        if (process.state == proto::State::running || process.state == proto::State::stopping)
            left_.insert_or_assign(process.id, process);
    }

    void end_leaks() {
        proto::TerminateParams terminate;
        for (const std::int64_t id : undaemonic_) {
            const auto found = left_.find(id);
            if (found == left_.end()) continue;
            ++leaks_;
            complain("left behind: " + mention(found->second) + "; ending it");
            terminate.processes.assign(1, {id, {}, std::nullopt});
            // One by one: one that is forgotten meanwhile keeps none of the others from being ended.
            const auto told = connection_.tell<proto::Terminate>(terminate, {}, deadline_);
            if (!told) return failed(context_.failure(told.error()));
        }
    }

    void await_processes() {
        while (!left_.empty() && !lost_ && !outcome_) {
            proto::WaitParams wait;
            for (const auto& [id, process] : left_) wait.processes.push_back({id, {}, std::nullopt});
            if (ask<proto::Wait>(wait)) return;
            if (forgotten_) refresh();
        }
    }

    void sweep_strays() {
        std::size_t count = 0;
        const auto waited = end_strays(
            signals_, deadline_, [this](int signal) { return go_on_after(signal); }, count);
        leaks_ += count;
        if (waited != Waited::timed_out) return;
        complain("timed out; some of what was left behind outside of procd is still there");
        outcome_ = k_timed_out;
    }

    // Takes what has ended meanwhile out of left_.
    void refresh() {
        const auto listed = connection_.call<proto::List>({}, {}, Deadline::after(k_last_words_seconds));
        if (!listed) return failed(context_.failure(listed.error()));
        const auto before = std::exchange(left_, {});
        for (const auto& [process, only] : listed->result.processes)
            if (before.contains(process.id)) remember(process);
    }
    std::string names_of_left() {
        if (!lost_) refresh();
        std::string text;
        for (const auto& [id, process] : left_)
            text.append(text.empty() ? "" : "; ").append(mention(process));
        return text.empty() ? "the last of them" : text;
    }

    Context& context_;
    Connection& connection_;
    SignalSource signals_;
    std::string session_;
    Child child_;
    Deadline deadline_;
    bool command_ended_ = false;
    int command_status_ = 0;
    int interrupts_ = 0;
    bool lost_ = false;       // the connection
    bool forgotten_ = false;  // a process that was asked about
    std::map<std::int64_t, proto::ProcessObject> left_;
    std::vector<std::int64_t> undaemonic_;
    std::size_t leaks_ = 0;
    std::optional<int> outcome_;  // the exit status, where it is not the command's
    proto::OrderedJson json_;
};

}  // namespace

int session(Context& context) {
    auto connected = context.connect();
    if (!connected) return context.fail(connected.error());
    proto::SessionParams params;
    params.name = context.options.name;
    params.stdio.emplace();
    params.stdio->in = proto::StdioTarget{};
    std::vector<int> fds;
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
        if (!stream_was_open(fd)) continue;  // then what is written there goes to the log of each process
        auto& target = fd == STDOUT_FILENO ? params.stdio->out : params.stdio->err;
        target = proto::StdioTarget{proto::StdioTarget::Kind::fd, fds.size(), {}, false};
        fds.push_back(fd);
    }
    const auto leased = context.call<proto::Session>(params, fds);
    if (!leased) return context.fail(leased.error());
    const auto around = context.enclosing();
    if (!around) return context.fail(around.error());
    return SessionOf(context, **connected).run(leased->result.session, around->has_value());
}

}  // namespace procctl::commands
