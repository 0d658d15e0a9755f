#include <algorithm>

#include "daemon/core/supervisor.hpp"

// From one procd to the next.
namespace procd::core {

Actions Supervisor::restore(Saved saved, Now now) {
    Actions actions;
    put_back(std::move(saved));
    go_on(now, true, actions);
    vanish(now, actions);
    settle_restored(actions);
    return actions;
}

Frozen Supervisor::freeze() const {
    Frozen frozen;
    frozen.saved.next_id = next_id_;
    frozen.saved.next_session = next_session_;
    for (const auto& [id, process] : processes_) frozen.saved.processes.push_back(process);
    for (const auto& [key, owner] : owners_) frozen.saved.owners.push_back(owner);
    for (const auto& [id, process] : closed_) frozen.closed.push_back(process);
    for (const auto& [id, session] : sessions_) frozen.sessions.push_back(session);
    for (const auto& [token, wait] : waits_.all())
        frozen.waits.push_back({wait, timers_.at({Timers::Kind::wait, token})});
    return frozen;
}

Actions Supervisor::thaw(Frozen frozen, Now now) {
    Actions actions;
    put_back(std::move(frozen.saved));
    for (Process& process : frozen.closed) {
        process.bytes = 0;
        recharge(process);
        const ProcessId id = process.id;
        closed_.insert_or_assign(id, std::move(process));
    }
    for (Session& session : frozen.sessions) {
        ledger_.add(session.uid, Session::bytes_for(session.name));
        sessions_held_by_[session.holder].insert(session.id);
        const SessionId id = session.id;
        sessions_.insert_or_assign(id, std::move(session));
    }
    for (const Frozen::PendingWait& pending : frozen.waits) put_back(pending);
    go_on(now, false, actions);
    settle_restored(actions);
    return actions;
}

void Supervisor::put_back(Saved saved) {
    next_id_ = std::max(next_id_, saved.next_id);
    next_session_ = std::max(next_session_, saved.next_session);
    for (Owner& owner : saved.owners) {
        owner.processes.clear();
        owner.unfinished = 0;
        owner.resting.reset();
        const OwnerKey key = owner.key;
        owners_.insert_or_assign(key, std::move(owner));
    }
    for (Process& process : saved.processes) put_back(std::move(process));
}

void Supervisor::put_back(Process process) {
    next_id_ = std::max(next_id_, process.id + 1);
    Owner& owner = owner_entry(process.owner, process.uid, process.owner_facts);
    take_in(owner, process.id);
    by_name_[process.name].insert(process.id);
    if (!process.exited()) {
        ++owner.unfinished;
        ++unfinished_[process.uid];
        if (process.started_or_starting()) ++active_;
        if (process.life.phase() == Phase::starting) ++starting_;
        timers_.set({Timers::Kind::life, static_cast<std::uint64_t>(process.id)}, process.life.deadline());
    }
    process.announced = process.state();
    process.bytes = 0;
    process.waiters.clear();
    recharge(process);
    const ProcessId id = process.id;
    processes_.insert_or_assign(id, std::move(process));
}

void Supervisor::put_back(const Frozen::PendingWait& pending) {
    const Wait& wait = pending.wait;
    for (const ProcessId id : wait.ids)
        if (!lookup(id) && !closed_.contains(id)) return;
    for (const ProcessId id : wait.ids) record(id)->waiters.insert(wait.token);
    ledger_.add(wait.uid, wait.bytes());
    timers_.set({Timers::Kind::wait, wait.token}, pending.deadline);
    waits_.add(wait);
}

// Whose end the procd before may have been too late to see the consequences of.
void Supervisor::vanish(Now now, Actions& actions) {
    std::vector<OwnerKey> gone;
    for (const auto& [key, owner] : owners_) {
        const bool lease = key.kind == OwnerKind::connection || key.kind == OwnerKind::session;
        if (!owner.ended && (lease || (key.kind == OwnerKind::process && owner_gone(key))))
            gone.push_back(key);
    }
    for (const OwnerKey& key : gone) owner_ended(key, false, now, actions);
}

// What was begun goes on. again: whether what was decided last was done is not known.
void Supervisor::go_on(Now now, bool again, Actions& actions) {
    for (auto& [id, process] : processes_) carry_out(process, process.life.resume(now.mono, again), actions);
}

// Everything is back in its place: what nobody keeps any more is let go.
void Supervisor::settle_restored(Actions& actions) {
    // In the order of their ends, so that the oldest records are the first to go.
    std::vector<std::pair<Wall, ProcessId>> order;
    for (const auto& [id, process] : processes_) order.emplace_back(process.ended.value_or(Wall::max()), id);
    std::sort(order.begin(), order.end());
    for (const auto& [ended, id] : order) {
        Process* const process = lookup(id);
        if (!process) continue;
        if (process->exited())
            retain(*process, actions);
        else if (!process->started_or_starting() && !owner_takes_more(process->owner))
            remove(id, actions);
    }
    std::vector<OwnerKey> owners;
    for (const auto& [key, owner] : owners_) owners.push_back(key);
    for (const OwnerKey& key : owners) drop_if_idle(key, actions);
}

}  // namespace procd::core
