#include <cerrno>
#include <csignal>

#include "daemon/core/supervisor.hpp"

// What happens to processes, from launch to the last record.
namespace procd::core {

Actions Supervisor::handle(const Event& event, Now now) {
    Actions actions;
    std::visit([&](const auto& what) { on(what, now, actions); }, event);
    return actions;
}

Process* Supervisor::lookup(ProcessId id) {
    const auto found = processes_.find(id);
    return found == processes_.end() ? nullptr : &found->second;
}

void Supervisor::carry_out(Process& process, const Steps& steps, Actions& actions) {
    if (!steps.empty()) changes_.processes.insert(process.id);
    for (const Step step : steps) {
        switch (step) {
            case Step::launch:
                actions.push_back(Launch{process.id, process.name, process.uid, process.owner, process.spec});
                break;
            case Step::abandon:
                actions.push_back(AbandonLaunch{process.id});
                break;
            case Step::terminate:
                // A main that asked to stop its own children is signalled alone; without it, they are.
                actions.push_back(SendSignal{process.id, SIGTERM,
                                             process.kill_mode == KillMode::group || !process.alive(), true});
                break;
            case Step::kill:
                actions.push_back(KillTree{process.id});
                break;
            case Step::count:
                actions.push_back(CountTree{process.id});
                break;
        }
    }
    timers_.set({Timers::Kind::life, static_cast<std::uint64_t>(process.id)}, process.life.deadline());
}

void Supervisor::announce(Process& process) {
    const State state = process.state();
    if (state == process.announced) return;
    process.announced = state;
    changes_.processes.insert(process.id);
    listener_.on_change(state == State::running    ? EventType::started
                        : state == State::stopping ? EventType::stopping
                                                   : EventType::exited,
                        process);
}

void Supervisor::end(Process& process, Cause cause, bool by_kill, std::optional<Duration> grace, Now now,
                     Actions& actions) {
    if (process.exited()) return;
    if (!process.ending && !process.end_cause) process.end_cause = cause;
    const bool again =
        cause != Cause::client && process.life.end_wanted();  // a client may well repeat its SIGTERM
    if (by_kill)
        carry_out(process, process.life.kill(now.mono), actions);
    else if (again)
        carry_out(process, process.life.hurry(now.mono), actions);
    else
        carry_out(process, process.life.terminate(now.mono, grace), actions);
    announce(process);
}

// ---- events ----------------------------------------------------------------------------------------------

void Supervisor::on(const LaunchSucceeded& event, Now now, Actions& actions) {
    Process* const process = lookup(event.id);
    if (!process || process->life.phase() != Phase::starting) return;
    --starting_;
    changes_.processes.insert(event.id);
    process->pid = event.pid;
    process->start_time = event.start_time;
    process->log = event.log;
    process->log_stderr = event.log_stderr;
    process->started = now.wall;
    process->started_mono = now.mono;
    process->spec.reset();
    recharge(*process);
    const Steps steps = process->life.spawned(now.mono);
    process->announced = State::running;
    listener_.on_change(EventType::started, *process);
    if (process->start_token) listener_.on_started(*process->start_token, *process, nullptr);
    process->start_token.reset();
    for (const ClientSignal& signal : process->signals_pending.take()) {
        process->signals_sent.insert(signal.number);
        actions.push_back(SendSignal{process->id, signal.number, signal.tree, false, signal.sender});
    }
    carry_out(*process, steps, actions);
    announce(*process);
}

void Supervisor::on(const LaunchFailed& event, Now now, Actions& actions) {
    Process* const process = lookup(event.id);
    if (!process || process->life.phase() != Phase::starting) return;
    const bool not_found =
        event.failure.stage == "exec" && (event.failure.error == ENOENT || event.failure.error == ENOTDIR);
    --starting_;
    process->life.launch_failed();
    process->ended = now.wall;
    process->ending = Ending{Exit{How::exec_failed, not_found ? 127 : 126, 0, false},
                             process->end_cause.value_or(Cause::self), 0};
    process->announced = State::exited;
    changes_.processes.insert(event.id);
    const bool forget = process->spawn;
    if (!forget) listener_.on_change(EventType::exited, *process);
    if (process->start_token) listener_.on_started(*process->start_token, *process, &event.failure);
    process->start_token.reset();
    process->spec.reset();  // it says what the failure was about
    recharge(*process);
    settle(*process, actions);
    if (forget)
        remove(event.id, actions);
    else
        retain(*process, actions);
    leave_if_done(actions);
}

void Supervisor::on(const MainExited& event, Now now, Actions& actions) {
    Process* const process = lookup(event.id);
    if (!process || !process->alive()) return;
    Ending ending{event.exit, Cause::self, 0};
    if (process->end_cause)
        ending.cause = *process->end_cause;
    else if (event.exit.how == How::signaled && process->signals_sent.contains(event.exit.signal))
        ending.cause = Cause::client;
    changes_.processes.insert(event.id);
    process->ending = ending;
    process->ended = now.wall;
    process->ended_mono = now.mono;
    carry_out(*process, process->life.main_exited(now.mono), actions);
    owner_ended(OwnerKey{OwnerKind::process, static_cast<std::uint64_t>(event.id)}, false, now, actions);
}

void Supervisor::on(const TreeCounted& event, Now now, Actions& actions) {
    Process* const process = lookup(event.id);
    if (!process || process->exited()) return;
    const LifeRecord was = process->life.record();
    carry_out(*process, process->life.counted(now.mono, event.rest), actions);
    // Nothing is kept for an owner that has ended, or that waits for it.
    if (stopping() || !owner_takes_more(process->owner))
        carry_out(*process, process->life.release_kept(now.mono), actions);
    if (process->ending) process->ending->leftovers = process->life.leftovers();
    if (process->life.record() != was) changes_.processes.insert(event.id);
    if (process->life.leftovers() != was.leftovers)
        actions.push_back(
            Report{process->name + " (id " + std::to_string(process->id) + ") ended and left " +
                   std::to_string(process->life.leftovers()) +
                   (process->life.phase() == Phase::kept ? " behind, kept" : " behind, which are ended")});
    if (!process->alive()) announce(*process);
    if (!process->exited()) return;
    actions.push_back(ReleaseTree{event.id});
    settle(*process, actions);
    retain(*process, actions);
    leave_if_done(actions);
}

void Supervisor::on(const Tick&, Now now, Actions& actions) {
    while (const auto key = timers_.pop(now.mono)) {
        switch (key->first) {
            case Timers::Kind::life:
                if (Process* const process = lookup(static_cast<ProcessId>(key->second))) {
                    carry_out(*process, process->life.expired(now.mono), actions);
                    announce(*process);
                }
                break;
            case Timers::Kind::wait:
                if (waits_.find(key->second)) answer_wait(key->second, true, actions);
                break;
            case Timers::Kind::drain:
                stop(Stop::ending, now, actions);
                break;
        }
    }
}

// ---- records ---------------------------------------------------------------------------------------------

// The process has exited: whoever waits is told.
void Supervisor::settle(Process& process, Actions& actions) {
    --active_;
    finished_one(process.owner, actions);
    timers_.set({Timers::Kind::life, static_cast<std::uint64_t>(process.id)}, std::nullopt);
    if (const auto count = unfinished_.find(process.uid); --count->second == 0) unfinished_.erase(count);
    const std::set<Token> waiters = process.waiters;
    for (const Token token : waiters) {
        Wait* const wait = waits_.find(token);
        ++wait->ended;
        if (wait->done()) answer_wait(token, false, actions);
    }
}

// Records stay while their connection, session or process owner lives; after that among the newest of their
// user.
void Supervisor::retain(Process& process, Actions& actions) {
    const bool leased = process.owner.kind == OwnerKind::connection ||
                        process.owner.kind == OwnerKind::session || process.owner.kind == OwnerKind::process;
    if (leased && !owner_gone(process.owner)) return;
    retention_.add(process.id, process.uid);
    evict(process.uid, actions);
}

void Supervisor::evict(UserId uid, Actions& actions) {
    const auto pinned = [this](ProcessId id) { return !processes_.at(id).waiters.empty(); };
    const auto many_bytes = [this, uid] {
        return !unlimited(uid) && ledger_.of(uid) > config_.max_record_bytes / 2;
    };
    while (const auto id = retention_.surplus(uid, pinned, many_bytes())) remove(*id, actions);
}

void Supervisor::remove(ProcessId id, Actions& actions) {
    Process& process = processes_.at(id);
    changes_.processes.insert(id);
    listener_.on_change(EventType::closed, process);
    if (!process.exited()) {
        finished_one(process.owner, actions);
        if (const auto count = unfinished_.find(process.uid); --count->second == 0) unfinished_.erase(count);
    }
    const auto names = by_name_.find(process.name);
    names->second.erase(id);
    if (names->second.empty()) by_name_.erase(names);
    const OwnerKey owner = process.owner;
    if (const auto entry = owners_.find(owner); entry != owners_.end()) entry->second.processes.erase(id);
    timers_.set({Timers::Kind::life, static_cast<std::uint64_t>(id)}, std::nullopt);
    retention_.remove(id);
    if (process.log_spec.retain)
        actions.push_back(Forget{id, "", ""});
    else
        actions.push_back(Forget{id, process.log.value_or(""), process.log_stderr.value_or("")});
    // A pending wait that names it still gets its end.
    if (process.waiters.empty())
        ledger_.remove(process.uid, process.bytes);
    else
        closed_.emplace(id, std::move(process));
    processes_.erase(id);
    drop_if_idle(owner, actions);
    // What its leftovers made counted there, whoever owned it.
    const auto own = owners_.find(OwnerKey{OwnerKind::process, static_cast<std::uint64_t>(id)});
    if (own != owners_.end() && own->second.processes.empty()) forget_owner(own);
}

// ---- looking ---------------------------------------------------------------------------------------------

const Process* Supervisor::find(ProcessId id) const {
    const auto found = processes_.find(id);
    return found == processes_.end() ? nullptr : &found->second;
}

const std::set<SessionId>& Supervisor::sessions_held_by(ConnectionId connection) const {
    static const std::set<SessionId> none;
    const auto found = sessions_held_by_.find(connection);
    return found == sessions_held_by_.end() ? none : found->second;
}

const Session* Supervisor::find_session(SessionId id) const {
    const auto found = sessions_.find(id);
    return found == sessions_.end() ? nullptr : &found->second;
}

bool Supervisor::has_unfinished(const OwnerKey& key) const {
    const auto found = owners_.find(key);
    return found != owners_.end() && found->second.unfinished > 0;
}

const Owner* Supervisor::find_owner(const OwnerKey& key) const {
    const auto found = owners_.find(key);
    return found == owners_.end() ? nullptr : &found->second;
}

const std::set<ProcessId>* Supervisor::owned_by(const OwnerKey& key) const {
    const auto found = owners_.find(key);
    return found == owners_.end() ? nullptr : &found->second.processes;
}

const std::set<ProcessId>* Supervisor::named(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : &found->second;
}

}  // namespace procd::core
