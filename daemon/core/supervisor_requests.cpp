#include <algorithm>
#include <csignal>

#include "daemon/core/streams.hpp"
#include "daemon/core/supervisor.hpp"

// What clients ask for. Each request is checked whole before anything is done.
namespace procd::core {
namespace {

// Python's sentences, where it has one.
constexpr const char* k_daemonic = "daemonic processes are not allowed to have children";
constexpr const char* k_twice = "cannot start a process twice";
constexpr const char* k_already = "process has already started";
constexpr const char* k_join_unstarted = "can only join a started process";
constexpr const char* k_join_self = "can only join a child process";
constexpr const char* k_running =
    "Cannot close a process while it is still running. You should first call join() or terminate().";

Refusal refuse(RefusalKind kind, std::string message) {
    return Refusal{kind, std::move(message), {}, {}};
}

// About what a record costs beside its texts.
constexpr std::size_t k_record_bytes = 1024;

std::size_t bytes_of_spec(const LaunchSpec& spec) {
    std::size_t bytes = sizeof spec + bytes_of(spec.command) + spec.cwd.value_or("").size();
    if (spec.env) bytes += bytes_of(*spec.env);
    for (const StreamTarget& target : spec.stdio)
        if (const auto* file = std::get_if<ToFile>(&target)) bytes += file->path.size();
    return bytes + spec.limits.size() * sizeof(ResourceLimit) + spec.descriptors.size() * sizeof(ResourcePtr);
}

Refusal refuse_shutting_down() {
    return refuse(RefusalKind::shutting_down, "procd is stopping and starts nothing any more");
}

}  // namespace

// ---- creation --------------------------------------------------------------------------------------------

std::optional<Refusal> Supervisor::creation_problem(const Caller& caller, const Creation& creation) const {
    if (stopping()) return refuse_shutting_down();
    const Process* const enclosing = caller.enclosing ? find(*caller.enclosing) : nullptr;
    if (enclosing && enclosing->daemon && creation.daemon == false)
        return refuse(RefusalKind::daemonic_no_children, k_daemonic);
    if (auto problem = owner_problem(caller, creation.owner.key)) return problem;
    if (const auto count = unfinished_.find(creation.uid);
        count != unfinished_.end() && count->second >= config_.max_processes && !unlimited(creation.uid))
        return refuse(RefusalKind::limit, "user " + std::to_string(creation.uid) + " has " +
                                              std::to_string(count->second) +
                                              " processes, the most that one may have");
    if (creation.unique && !creation.name.empty() && name_taken(creation.owner.key, creation.name, 0))
        return refuse(RefusalKind::name_in_use, "a live process of this owner is called " + creation.name);
    return memory_problem(creation.uid, bytes_of(creation.name) + bytes_of(creation.spec->command) +
                                            bytes_of_spec(*creation.spec) + k_record_bytes);
}

// ---- memory ----------------------------------------------------------------------------------------------

std::optional<Refusal> Supervisor::memory_problem(UserId uid, std::size_t bytes) const {
    const std::size_t held = ledger_.of(uid);
    if (unlimited(uid) || held + bytes <= config_.max_record_bytes) return std::nullopt;
    return refuse(RefusalKind::limit, "procd keeps " + std::to_string(held) + " bytes for user " +
                                          std::to_string(uid) + " and " + std::to_string(bytes) +
                                          " more would be over max-record-bytes, " +
                                          std::to_string(config_.max_record_bytes));
}

Outcome<Done> Supervisor::charge(UserId uid, std::size_t bytes) {
    if (auto problem = memory_problem(uid, bytes)) return *problem;
    ledger_.add(uid, bytes);
    return Done{};
}

// After any change of what the record holds.
void Supervisor::recharge(Process& process) {
    ledger_.remove(process.uid, process.bytes);
    process.bytes = k_record_bytes + bytes_of(process.name) + bytes_of(process.command) + process.cwd.size() +
                    (process.spec ? bytes_of_spec(*process.spec) : 0);
    ledger_.add(process.uid, process.bytes);
}

bool Supervisor::name_taken(const OwnerKey& owner, const std::string& name, ProcessId except) const {
    const auto* ids = named(name);
    return ids && std::any_of(ids->begin(), ids->end(), [&](ProcessId id) {
               const Process& other = processes_.at(id);
               return id != except && other.owner == owner && other.started_or_starting() && !other.exited();
           });
}

Process& Supervisor::construct(const Caller& caller, Creation creation, Now now) {
    const Process* const enclosing = caller.enclosing ? find(*caller.enclosing) : nullptr;
    Owner& owner = owner_entry(creation.owner.key, caller.uid, creation.owner.facts);
    // The enclosing process, whoever the owner is, gives the flag and the nested name.
    Owner& counter =
        enclosing ? owner_entry(OwnerKey{OwnerKind::process, static_cast<std::uint64_t>(enclosing->id)},
                                enclosing->uid, OwnerFacts{})
                  : owner;
    const ProcessId id = next_id_++;
    changes_.processes.insert(id);
    changes_.owners.insert(counter.key);
    Process& process = processes_[id];
    process.id = id;
    process.uid = creation.uid;
    process.identity = (enclosing ? enclosing->identity + ":" : "") + std::to_string(++counter.constructions);
    process.name = creation.name.empty() ? "Process-" + process.identity : std::move(creation.name);
    process.daemon = creation.daemon.value_or(enclosing && enclosing->daemon);
    process.unique = creation.unique;
    process.owner = creation.owner.key;
    process.owner_facts = owner.facts;
    process.life = Life(creation.grace.value_or(config_.grace), creation.keep_leftovers);
    process.kill_mode = creation.kill_mode;
    process.command = creation.spec->command;
    process.cwd = creation.spec->cwd.value_or("/");
    process.streams_of = creation.spec->streams_of;
    process.log_spec = creation.spec->log;
    process.output = output_text(*creation.spec);
    process.spec = std::move(creation.spec);
    process.created = now.wall;
    take_in(owner, id);
    ++owner.unfinished;
    recharge(process);
    by_name_[process.name].insert(id);
    ++unfinished_[process.uid];
    listener_.on_change(EventType::created, process);
    return process;
}

Outcome<ProcessId> Supervisor::create(const Caller& caller, Creation creation, Now now) {
    if (auto problem = creation_problem(caller, creation)) return *problem;
    return construct(caller, std::move(creation), now).id;
}

Outcome<ProcessId> Supervisor::spawn(const Caller& caller, Creation creation, Token token, Now now,
                                     Actions& actions) {
    if (auto problem = creation_problem(caller, creation)) return *problem;
    Process& process = construct(caller, std::move(creation), now);
    launch(process, token, true, now, actions);
    return process.id;
}

Outcome<Done> Supervisor::start(const Caller& caller, ProcessId id, Token token, Now now, Actions& actions) {
    Process& process = processes_.at(id);
    if (process.started_or_starting()) return refuse(RefusalKind::already_started, k_twice);
    if (stopping()) return refuse_shutting_down();
    const Process* const enclosing = caller.enclosing ? find(*caller.enclosing) : nullptr;
    if (enclosing && enclosing->daemon && !process.daemon)
        return refuse(RefusalKind::daemonic_no_children, k_daemonic);
    if (!owner_takes_more(process.owner))
        return refuse(RefusalKind::owner_gone, describe(process.owner, process.owner_facts) + " has ended");
    if (process.unique && name_taken(process.owner, process.name, id))
        return refuse(RefusalKind::name_in_use, "a live process of this owner is called " + process.name);
    launch(process, token, false, now, actions);
    return Done{};
}

void Supervisor::launch(Process& process, Token token, bool spawn, Now, Actions& actions) {
    process.start_token = token;
    process.spawn = spawn;
    ++active_;
    ++starting_;
    carry_out(process, process.life.start(), actions);
}

// ---- changes ---------------------------------------------------------------------------------------------

Outcome<Done> Supervisor::rename(ProcessId id, const std::string& name) {
    Process& process = processes_.at(id);
    if (process.name == name) return Done{};
    const auto old = by_name_.find(process.name);
    old->second.erase(id);
    if (old->second.empty()) by_name_.erase(old);
    process.name = name;
    by_name_[name].insert(id);
    recharge(process);
    changes_.processes.insert(id);
    listener_.on_change(EventType::changed, process);
    return Done{};
}

std::optional<Refusal> Supervisor::daemon_problem(const Caller& caller, ProcessId id, bool daemon) const {
    if (processes_.at(id).started_or_starting()) return refuse(RefusalKind::already_started, k_already);
    const Process* const enclosing = caller.enclosing ? find(*caller.enclosing) : nullptr;
    if (enclosing && enclosing->daemon && !daemon)
        return refuse(RefusalKind::daemonic_no_children, k_daemonic);
    return std::nullopt;
}

Outcome<Done> Supervisor::set_daemon(const Caller& caller, ProcessId id, bool daemon) {
    if (auto problem = daemon_problem(caller, id, daemon)) return *problem;
    Process& process = processes_.at(id);
    if (process.daemon == daemon) return Done{};
    process.daemon = daemon;
    changes_.processes.insert(id);
    listener_.on_change(EventType::changed, process);
    return Done{};
}

Outcome<Done> Supervisor::set_owner(const Caller& caller, ProcessId id, const OwnerChoice& owner,
                                    Actions& actions) {
    if (auto problem = owner_problem(caller, owner.key)) return *problem;
    Process& process = processes_.at(id);
    if (owner.key == OwnerKey{OwnerKind::process, static_cast<std::uint64_t>(id)})
        return refuse(RefusalKind::bad_request, "a process cannot own itself");
    if (process.owner == owner.key) return Done{};
    owner_entry(owner.key, caller.uid, owner.facts);
    process.was.reset();
    move_to(process, owner.key, owner.facts, actions);
    if (process.exited()) retain(process, actions);
    return Done{};
}

// ---- waiting ---------------------------------------------------------------------------------------------

std::optional<Refusal> Supervisor::wait_problem(const Caller& caller, const std::vector<ProcessId>& ids,
                                                WaitMode mode) const {
    for (const ProcessId id : ids)
        if (!processes_.at(id).started_or_starting())
            return refuse(RefusalKind::not_started, k_join_unstarted);
    if (caller.enclosing && std::find(ids.begin(), ids.end(), *caller.enclosing) != ids.end() &&
        (mode == WaitMode::all || ids.size() == 1))
        return refuse(RefusalKind::deadlock, k_join_self);
    if (waits_.of_user(caller.uid) >= config_.max_waits && !unlimited(caller.uid))
        return refuse(RefusalKind::limit, "user " + std::to_string(caller.uid) + " has " +
                                              std::to_string(config_.max_waits) +
                                              " waits pending, the most one may have");
    return memory_problem(caller.uid, Wait::bytes_for(ids.size()));
}

Outcome<Done> Supervisor::wait(const Caller& caller, const std::vector<ProcessId>& ids, WaitMode mode,
                               std::optional<Duration> timeout, Token token, Now now, Actions& actions) {
    if (auto problem = wait_problem(caller, ids, mode)) return *problem;
    Wait wait{token, caller.connection, caller.uid, ids, mode, 0};
    for (const ProcessId id : ids) wait.ended += processes_.at(id).exited() ? 1 : 0;
    const bool done = wait.done();
    ledger_.add(caller.uid, Wait::bytes_for(ids.size()));
    waits_.add(std::move(wait));
    for (const ProcessId id : ids) processes_.at(id).waiters.insert(token);
    if (done || timeout == Duration::zero())
        answer_wait(token, !done, actions);
    else if (timeout)
        timers_.set({Timers::Kind::wait, token}, now.mono + *timeout);
    return Done{};
}

void Supervisor::answer_wait(Token token, bool timed_out, Actions& actions) {
    const Wait wait = waits_.take(token);
    ledger_.remove(wait.uid, wait.bytes());
    timers_.set({Timers::Kind::wait, token}, std::nullopt);
    std::vector<const Process*> ended;
    for (const ProcessId id : wait.ids)
        if (const Process* process = record(id); process->exited()) ended.push_back(process);
    listener_.on_waited(token, ended, timed_out);
    std::set<UserId> users;
    for (const ProcessId id : wait.ids) users.insert(unpin(id, token));
    for (const UserId uid : users) evict(uid, actions);
}

Process* Supervisor::record(ProcessId id) {
    Process* const process = lookup(id);
    return process ? process : &closed_.at(id);
}

UserId Supervisor::unpin(ProcessId id, Token token) {
    Process* const process = record(id);
    const UserId uid = process->uid;
    process->waiters.erase(token);
    if (const auto closed = closed_.find(id); closed != closed_.end() && closed->second.waiters.empty()) {
        ledger_.remove(uid, closed->second.bytes);
        closed_.erase(closed);
    }
    return uid;
}

// ---- ending ----------------------------------------------------------------------------------------------

namespace {

std::optional<Refusal> unstarted(const std::map<ProcessId, Process>& processes,
                                 const std::vector<ProcessId>& ids) {
    for (const ProcessId id : ids)
        if (!processes.at(id).started_or_starting())
            return refuse(RefusalKind::not_started, processes.at(id).name + " has not been started");
    return std::nullopt;
}

}  // namespace

Outcome<Done> Supervisor::terminate(const std::vector<ProcessId>& ids, std::optional<Duration> grace, Now now,
                                    Actions& actions) {
    if (auto problem = unstarted(processes_, ids)) return *problem;
    for (const ProcessId id : ids) end(processes_.at(id), Cause::client, false, grace, now, actions);
    return Done{};
}

Outcome<Done> Supervisor::kill(const std::vector<ProcessId>& ids, Now now, Actions& actions) {
    if (auto problem = unstarted(processes_, ids)) return *problem;
    for (const ProcessId id : ids) end(processes_.at(id), Cause::client, true, std::nullopt, now, actions);
    return Done{};
}

Outcome<Done> Supervisor::signal(const std::vector<ProcessId>& ids, const ClientSignal& signal,
                                 Actions& actions) {
    if (auto problem = unstarted(processes_, ids)) return *problem;
    for (const ProcessId id : ids)
        if (const Process& process = processes_.at(id);
            process.life.phase() == Phase::starting && !process.signals_pending.has_room(signal.number))
            return refuse(RefusalKind::limit, process.name + " is still being started and has " +
                                                  std::to_string(PendingSignals::k_most_queued) +
                                                  " real-time signals pending, the most it may have");
    for (const ProcessId id : ids) {
        Process& process = processes_.at(id);
        if (process.exited()) continue;
        if (process.life.phase() == Phase::starting) {
            process.signals_pending.add(signal);
        } else {
            if (process.alive() && process.signals_sent.insert(signal.number).second)
                changes_.processes.insert(id);
            actions.push_back(SendSignal{id, signal.number, signal.tree, false, signal.sender});
        }
    }
    return Done{};
}

Outcome<Done> Supervisor::close(const std::vector<ProcessId>& ids, Actions& actions) {
    for (const ProcessId id : ids) {
        const Process& process = processes_.at(id);
        if (process.started_or_starting() && !process.exited())
            return refuse(RefusalKind::still_running, k_running);
    }
    for (const ProcessId id : ids)
        if (lookup(id)) remove(id, actions);
    return Done{};
}

Outcome<Done> Supervisor::shutdown(bool wait, bool at_once, Now now, Actions& actions) {
    if (stop_ == Stop::no || at_once) stop(at_once ? Stop::ending : Stop::draining, now, actions);
    if (stop_ == Stop::draining) {
        if (wait)
            timers_.set({Timers::Kind::drain, 0}, std::nullopt);
        else if (!timers_.has({Timers::Kind::drain, 0}))
            timers_.set({Timers::Kind::drain, 0}, now.mono + config_.drain);
    }
    return Done{};
}

}  // namespace procd::core
