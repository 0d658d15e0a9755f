#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>
#include <vector>

#include "daemon/loop/log.hpp"
#include "daemon/loop/runtime.hpp"
#include "daemon/sys/notify.hpp"

// A procd that starts where another one was killed: what that one knew, held against what there is.
namespace procd::loop {

state::Header Runtime::journal_header() const {
    state::Header header;
    header.boot_id = self_.boot_id;
    header.group = containment_->place();
    return header;
}

void Runtime::inherit(Inheritance inheritance) {
    core::Saved saved;
    const bool same_boot = inheritance.journal && (!inheritance.journal->header ||
                                                   inheritance.journal->header->boot_id == self_.boot_id);
    if (inheritance.journal) saved = std::move(inheritance.journal->saved);
    // An id is in use as long as somebody lives under it, whatever the journal knows.
    for (const core::ProcessId id : children_.left_trees()) saved.next_id = std::max(saved.next_id, id + 1);
    // So is the number of a connection, as long as anything is said to be its.
    const auto count_connection = [this](const core::OwnerKey& owner) {
        if (owner.kind == core::OwnerKind::connection)
            next_connection_ = std::max(next_connection_, owner.number + 1);
    };
    for (const core::Process& process : saved.processes) count_connection(process.owner);
    for (const core::Owner& owner : saved.owners) count_connection(owner.key);
    // Pids and times of another boot say nothing of what lives now.
    if (!same_boot) {
        for (core::Process& process : saved.processes) process.start_time = 0;
        for (core::Owner& owner : saved.owners) owner.facts.start_time = 0;
    }
    const bool anything = !saved.processes.empty();
    // Not carried out before the trees are known.
    core::Actions actions = api_.core().restore(std::move(saved), now());
    // Before anything is done: one that is killed in the course of this leaves what it was at, too.
    journal_.begin(api_.core(), journal_header());
    take_back_all(std::move(inheritance.pidfds));
    perform(std::move(actions));
    take_back_owners();
    if (anything)
        log_info("went on from the journal: " + std::to_string(api_.core().processes().size()) +
                 " processes, of which " + std::to_string(api_.core().active()) + " have not ended");
}

void Runtime::take_back_all(std::map<core::ProcessId, UniqueFd> pidfds) {
    std::vector<core::ProcessId> ids, starting, lost;
    std::set<core::ProcessId> unknown;
    for (const core::ProcessId id : children_.left_trees()) unknown.insert(id);
    for (const auto& [id, process] : api_.core().processes()) {
        if (process.exited() || !process.started_or_starting()) continue;
        unknown.erase(id);
        if (process.life.phase() == core::Phase::starting) {
            starting.push_back(id);
            continue;
        }
        ids.push_back(id);
        auto kept = pidfds.extract(id);
        Children::Remains remains;
        if (kept) remains.pidfd = std::move(kept.mapped());
        if (!children_.take_back(process, std::move(remains))) lost.push_back(id);
    }
    // Those of processes that are known to have ended, or not at all.
    if (sys::has_service_manager())
        for (const auto& [id, pidfd] : pidfds) (void)sys::remove_stored(sys::stored_pidfd_name(id));
    for (const core::ProcessId id : starting)
        if (const core::Process* process = api_.core().find(id)) finish_start(*process);
    for (const core::ProcessId id : unknown) {
        log_warning("what runs in the group of id " + std::to_string(id) +
                    ", of which nothing is known, is ended");
        children_.end_unknown(id);
    }
    for (const core::ProcessId id : lost)
        api_.happened(core::MainExited{id, core::Exit{core::How::lost, 0, 0, false}});
    // Those that ended meanwhile, before anybody asks.
    for (const core::ProcessId id : ids) children_.refresh(id);
}

// One of which only the intent is known. Its place tells how far it came.
void Runtime::finish_start(const core::Process& process) {
    const core::ProcessId id = process.id;
    const Children::Birth birth = children_.birth_of(process);
    if (!birth.was_born) {
        children_.clear(id, birth);
        return api_.happened(
            core::LaunchFailed{id, {"procd ended before it could start it", ECANCELED, false}});
    }
    api_.happened(core::LaunchSucceeded{id, birth.pid, birth.log, birth.log_stderr, birth.start_time});
    const core::Process* const started = api_.core().find(id);
    if (started && !children_.take_back(*started, {}))
        api_.happened(core::MainExited{id, core::Exit{core::How::lost, 0, 0, false}});
}

// Sessions and connections have vanished with the procd before. Pids are looked at: one that has ended
// meanwhile has ended now.
void Runtime::take_back_owners() {
    std::vector<std::pair<core::OwnerKey, core::OwnerFacts>> pids;
    for (const auto& [key, owner] : api_.core().owners())
        if (key.kind == core::OwnerKind::pid && !owner.ended) pids.emplace_back(key, owner.facts);
    for (const auto& [key, facts] : pids)
        if (!watches_.take_back(key.number, facts, api_.core().has_unfinished(key)))
            api_.happened(core::OwnerEnded{key});
}

}  // namespace procd::loop
