#include <algorithm>

#include "daemon/core/supervisor.hpp"

// From one procd to the next.
namespace procd::core {

Actions Supervisor::restore(Saved saved, Now now) {
    Actions actions;
    next_id_ = std::max(next_id_, saved.next_id);
    next_session_ = std::max(next_session_, saved.next_session);
    for (Owner& owner : saved.owners) {
        owner.processes.clear();
        owner.unfinished = 0;
        owner.resting.reset();
        const OwnerKey key = owner.key;
        owners_.insert_or_assign(key, std::move(owner));
    }
    // In the order of their ends, so that the oldest records are the first to go.
    std::stable_sort(saved.processes.begin(), saved.processes.end(), [](const auto& one, const auto& other) {
        return one.ended.value_or(Wall::max()) < other.ended.value_or(Wall::max());
    });
    std::vector<ProcessId> ids;
    for (Process& process : saved.processes) {
        ids.push_back(process.id);
        put_back(std::move(process));
    }
    vanish(now, actions);
    for (const ProcessId id : ids) {
        Process* const process = lookup(id);
        if (!process) continue;
        if (process->exited()) {
            retain(*process, actions);
        } else if (process->state() == State::initial && process->life.phase() == Phase::initial) {
            if (!owner_takes_more(process->owner)) remove(id, actions);
        } else {
            carry_out(*process, process->life.resume(now.mono), actions);
        }
    }
    std::vector<OwnerKey> owners;
    for (const auto& [key, owner] : owners_) owners.push_back(key);
    for (const OwnerKey& key : owners) drop_if_idle(key, actions);
    return actions;
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
    recharge(process);
    const ProcessId id = process.id;
    processes_.insert_or_assign(id, std::move(process));
}

// Whose end the procd before may have been too late to see the consequences of.
void Supervisor::vanish(Now now, Actions& actions) {
    std::vector<OwnerKey> gone;
    for (const auto& [key, owner] : owners_) {
        const bool lease = key.kind == OwnerKind::connection || key.kind == OwnerKind::session;
        // One that is being started has ended nothing yet, and nothing belongs to it.
        if (!owner.ended && (lease || (key.kind == OwnerKind::process && owner_gone(key)))) gone.push_back(key);
    }
    for (const OwnerKey& key : gone) owner_ended(key, false, now, actions);
}

}  // namespace procd::core
