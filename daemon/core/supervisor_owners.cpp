#include "daemon/core/supervisor.hpp"

// Owners: who they are, when they end, and what that does to what they own.
namespace procd::core {

std::string session_text(SessionId id) {
    return "s" + std::to_string(id);
}

std::string describe(const OwnerKey& key, const OwnerFacts& facts) {
    const std::string who = facts.comm + "[" + std::to_string(facts.pid) + "]";
    switch (key.kind) {
        case OwnerKind::connection:
            return "connection of " + who;
        case OwnerKind::session:
            return "session s" + std::to_string(key.number);
        case OwnerKind::process:
            return "process " + std::to_string(key.number);
        case OwnerKind::pid:
            return who;
        case OwnerKind::procd:
            break;
    }
    return "procd";
}

Owner& Supervisor::owner_entry(const OwnerKey& key, UserId uid, const OwnerFacts& facts) {
    const auto [place, is_new] = owners_.try_emplace(key);
    Owner& owner = place->second;
    if (is_new) {
        owner.key = key;
        owner.uid = uid;
    }
    if (owner.facts.pid == 0) owner.facts = facts;  // an entry may be made before anything belongs to it
    return owner;
}

bool Supervisor::owner_gone(const OwnerKey& key) const {
    const auto entry = owners_.find(key);
    if (entry != owners_.end() && entry->second.ended) return true;
    switch (key.kind) {
        case OwnerKind::session:
            return !sessions_.contains(static_cast<SessionId>(key.number));
        case OwnerKind::process: {
            const Process* process = find(static_cast<ProcessId>(key.number));
            return !process || !process->alive();
        }
        case OwnerKind::connection:
        case OwnerKind::pid:
        case OwnerKind::procd:
            break;
    }
    return false;
}

bool Supervisor::owner_takes_more(const OwnerKey& key) const {
    const auto entry = owners_.find(key);
    return !owner_gone(key) && (entry == owners_.end() || !entry->second.ending);
}

std::optional<Refusal> Supervisor::owner_problem(const Caller& caller, const OwnerKey& key) const {
    const Process* process =
        key.kind == OwnerKind::process ? find(static_cast<ProcessId>(key.number)) : nullptr;
    const bool unstarted = process && process->state() == State::initial;
    if (!unstarted && !owner_takes_more(key)) {
        const auto entry = owners_.find(key);
        const OwnerFacts facts = entry == owners_.end() ? OwnerFacts{} : entry->second.facts;
        return Refusal{RefusalKind::owner_gone, describe(key, facts) + " has ended", {}, {}};
    }
    const Session* session =
        key.kind == OwnerKind::session ? find_session(static_cast<SessionId>(key.number)) : nullptr;
    const bool foreign =
        (session && !visible(caller, session->uid)) || (process && !visible(caller, process->uid));
    if (foreign)
        return Refusal{RefusalKind::not_permitted, describe(key, {}) + " belongs to another user", {}, {}};
    if (unstarted)
        return Refusal{RefusalKind::not_started, describe(key, {}) + " has not been started", {}, {}};
    return std::nullopt;
}

void Supervisor::move_to(Process& process, const OwnerKey& key, const OwnerFacts& facts, Actions& actions) {
    const OwnerKey old = process.owner;
    if (const auto entry = owners_.find(old); entry != owners_.end())
        entry->second.processes.erase(process.id);
    if (!process.exited()) finished_one(old, actions);
    process.owner = key;
    process.owner_facts = facts;
    Owner& owner = owner_entry(key, process.uid, facts);
    take_in(owner, process.id);
    if (!process.exited()) ++owner.unfinished;
    drop_if_idle(old, actions);
    retention_.remove(process.id);
    changes_.processes.insert(process.id);
    listener_.on_change(EventType::changed, process);
}

void Supervisor::finished_one(const OwnerKey& key, Actions& actions) {
    const auto entry = owners_.find(key);
    if (entry == owners_.end() || --entry->second.unfinished > 0) return;
    if (key.kind == OwnerKind::pid && !entry->second.ended) actions.push_back(StopWatching{key});
}

void Supervisor::take_in(Owner& owner, ProcessId id) {
    owner.processes.insert(id);
    if (owner.resting) resting_.erase(*owner.resting);
    owner.resting.reset();
}

// Who has ended and owns nothing is forgotten. A pid that lives and owns nothing is remembered as long as it
// is among the newest of those.
void Supervisor::drop_if_idle(const OwnerKey& key, Actions& actions) {
    const auto entry = owners_.find(key);
    if (entry == owners_.end() || !entry->second.processes.empty()) return;
    Owner& owner = entry->second;
    if (owner.ended) return forget_owner(entry);
    if (key.kind != OwnerKind::pid || owner.resting) return;
    owner.resting = next_resting_++;
    resting_.emplace(*owner.resting, key);
    if (resting_.size() <= k_most_resting_owners) return;
    const OwnerKey oldest = resting_.begin()->second;
    forget_owner(owners_.find(oldest));
    actions.push_back(StopWatching{oldest, true});
}

void Supervisor::forget_owner(std::map<OwnerKey, Owner>::iterator entry) {
    if (entry->second.resting) resting_.erase(*entry->second.resting);
    if (entry->second.constructions > 0) changes_.owners.insert(entry->first);
    owners_.erase(entry);
}

// Daemons end with it. Of non-daemons, procd becomes the owner, unless it ended politely and waits for them.
void Supervisor::owner_ended(const OwnerKey& key, bool polite, Now now, Actions& actions) {
    const auto entry = owners_.find(key);
    if (entry == owners_.end() || entry->second.ended) return;
    entry->second.ending = true;
    entry->second.ended = !polite;
    const OwnerFacts facts = entry->second.facts;
    const std::set<ProcessId> owned = entry->second.processes;
    for (const ProcessId id : owned) {
        Process* const found = lookup(id);  // an earlier round may have evicted it
        if (!found) continue;
        Process& process = *found;
        if (process.exited()) {
            if (!polite) retain(process, actions);
        } else if (!process.started_or_starting()) {
            remove(id, actions);  // nobody is left to start it
        } else if (process.daemon) {
            end(process, Cause::owner, false, std::nullopt, now, actions);
        } else {
            carry_out(process, process.life.release_kept(now.mono), actions);
            announce(process);
            if (polite) continue;
            process.was = describe(key, facts);
            move_to(process, OwnerKey{OwnerKind::procd, process.uid}, OwnerFacts{}, actions);
        }
    }
    drop_if_idle(key, actions);
}

void Supervisor::on(const OwnerEnded& event, Now now, Actions& actions) {
    // A pid or connection that owns nothing yet must not become an owner either.
    owner_entry(event.owner, 0, OwnerFacts{});
    owner_ended(event.owner, false, now, actions);
    if (event.owner.kind != OwnerKind::connection) return;
    // The connection itself may live on in a forked copy: remember until it closes.
    owner_entry(event.owner, 0, OwnerFacts{}).ended = true;
    end_sessions_of(event.owner.number, now, actions);
}

void Supervisor::on(const ConnectionClosed& event, Now now, Actions& actions) {
    on(OwnerEnded{OwnerKey{OwnerKind::connection, event.connection}}, now, actions);
    drop_if_idle(OwnerKey{OwnerKind::connection, event.connection}, actions);
    for (const Token token : waits_.of_connection(event.connection)) {
        const Wait wait = waits_.take(token);
        ledger_.remove(wait.uid, wait.bytes());
        timers_.set({Timers::Kind::wait, token}, std::nullopt);
        std::set<UserId> users;
        for (const ProcessId id : wait.ids) users.insert(unpin(id, token));
        for (const UserId uid : users) evict(uid, actions);
    }
}

// ---- sessions --------------------------------------------------------------------------------------------

void Supervisor::end_sessions_of(ConnectionId connection, Now now, Actions& actions) {
    const auto held = sessions_held_by_.extract(connection);
    if (held.empty()) return;
    for (const SessionId id : held.mapped()) {
        const auto session = sessions_.find(id);
        ledger_.remove(session->second.uid, Session::bytes_for(session->second.name));
        sessions_.erase(session);
        owner_ended(OwnerKey{OwnerKind::session, static_cast<std::uint64_t>(id)}, false, now, actions);
    }
}

Outcome<SessionId> Supervisor::open_session(const Caller& caller, std::string name, OwnerFacts holder,
                                            ResourcePtr out, ResourcePtr err) {
    if (stopping()) return Refusal{RefusalKind::shutting_down, "procd is stopping", {}, {}};
    if (owner_gone(OwnerKey{OwnerKind::connection, caller.connection}))
        return Refusal{RefusalKind::owner_gone, "the program that opened this connection has ended", {}, {}};
    if (auto problem = memory_problem(caller.uid, Session::bytes_for(name))) return *problem;
    ledger_.add(caller.uid, Session::bytes_for(name));
    const SessionId id = next_session_++;
    changes_.numbers = true;
    sessions_held_by_[caller.connection].insert(id);
    owner_entry(OwnerKey{OwnerKind::session, static_cast<std::uint64_t>(id)}, caller.uid, holder);
    sessions_.emplace(
        id, Session{id, caller.connection, caller.uid, std::move(name), std::move(out), std::move(err)});
    return id;
}

Outcome<std::vector<ProcessId>> Supervisor::end_session(const Caller& caller, SessionId id, Now now,
                                                        Actions& actions) {
    const auto session = sessions_.find(id);
    if (session == sessions_.end() || !visible(caller, session->second.uid))
        return Refusal{
            RefusalKind::owner_gone, "session " + session_text(id) + " has ended, or never was", {}, {}};
    if (session->second.holder != caller.connection)
        return Refusal{RefusalKind::not_permitted,
                       "session " + session_text(id) + " is held by another connection",
                       {},
                       {}};
    const OwnerKey key{OwnerKind::session, static_cast<std::uint64_t>(id)};
    owner_ended(key, true, now, actions);
    std::vector<ProcessId> waited_for;
    for (const ProcessId owned : owners_.at(key).processes) {
        const Process& process = processes_.at(owned);
        if (!process.daemon && !process.exited()) waited_for.push_back(owned);
    }
    return waited_for;
}

// ---- procd's own end -------------------------------------------------------------------------------------

void Supervisor::on(const StopSignal&, Now now, Actions& actions) {
    switch (stop_) {
        case Stop::no:
            stop(Stop::draining, now, actions);
            if (stop_ == Stop::draining) timers_.set({Timers::Kind::drain, 0}, now.mono + config_.drain);
            break;
        case Stop::draining:
            stop(Stop::ending, now, actions);
            break;
        case Stop::ending:
        case Stop::killing:
            stop(Stop::killing, now, actions);
            break;
    }
}

void Supervisor::stop(Stop level, Now now, Actions& actions) {
    if (level < stop_) return;
    stop_ = level;
    if (level != Stop::draining) timers_.set({Timers::Kind::drain, 0}, std::nullopt);
    std::vector<ProcessId> ids;
    for (const auto& [id, process] : processes_)
        if (!process.exited()) ids.push_back(id);
    for (const ProcessId id : ids) {
        Process* const found = lookup(id);
        if (!found) continue;
        Process& process = *found;
        if (!process.started_or_starting())
            remove(id, actions);
        else if (level == Stop::killing)
            end(process, Cause::shutdown, true, std::nullopt, now, actions);
        else if (process.daemon || level == Stop::ending)
            end(process, Cause::shutdown, false, std::nullopt, now, actions);
        else
            carry_out(process, process.life.release_kept(now.mono), actions);
    }
    leave_if_done(actions);
}

void Supervisor::leave_if_done(Actions& actions) {
    if (!stopping() || active_ > 0 || left_) return;
    left_ = true;
    actions.push_back(Leave{});
}

}  // namespace procd::core
