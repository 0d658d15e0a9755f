#include "daemon/loop/children.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

#include "daemon/loop/child.hpp"
#include "daemon/loop/descriptor.hpp"
#include "daemon/loop/guard.hpp"
#include "daemon/loop/launch_plan.hpp"
#include "daemon/sys/descriptors.hpp"
#include "daemon/sys/notify.hpp"
#include "daemon/sys/pidfd.hpp"
#include "daemon/sys/procfs.hpp"

namespace procd::loop {
namespace {

// Where a descriptor tells, a tree is counted seldom (it cannot tell of what left the group).
constexpr auto k_first_poll_watched = std::chrono::milliseconds(50);
constexpr auto k_last_poll = std::chrono::seconds(1);
constexpr auto k_traced_poll = std::chrono::milliseconds(20);
// How long whoever has taken over an earlier procd's child may leave it a zombie, which keeps its exit code
// to itself.
constexpr auto k_unreaped = std::chrono::seconds(2);

core::Exit core_exit(const sys::Exit& exit) {
    return core::Exit{exit.signaled ? core::How::signaled : core::How::exited, exit.code, exit.signal,
                      exit.core};
}

}  // namespace

Children::Children(asio::io_context& io, sys::Containment& containment, std::shared_ptr<Logs> logs,
                   ChildrenConfig config, Tell tell)
    : io_(io),
      containment_(containment),
      logs_(std::move(logs)),
      config_(std::move(config)),
      tell_(std::move(tell)),
      spawner_(std::make_unique<sys::Spawner>()) {}

Children::~Children() {
    *alive_ = false;
}

// ---- launches --------------------------------------------------------------------------------------------

void Children::carry_out(const core::Launch& action) {
    auto launching = std::make_shared<Launching>();
    launching->action = action;
    auto& child = *(children_[action.id] = std::make_unique<Child>(io_));
    child.launching = launching;
    launching_.insert(action.id);
    auto group = containment_.open_group(action.id, action.name);
    if (!group) {
        launching->log_problem = group.error().operation + " " + group.error().subject;
        const sys::SpawnError error{sys::Stage::prepare, group.error().error, false};
        later(io_, [this, alive = alive_, id = action.id, launching, error] {
            if (*alive) not_launched(id, launching, error);
        });
        return;
    }
    launching->group = std::move(*group);
    for (std::size_t stream = 0; stream < action.spec->stdio.size(); ++stream)
        if (std::holds_alternative<core::ToOwners>(action.spec->stdio[stream]))
            launching->of_owner[stream] = stream_of_owner(action.owner, static_cast<int>(stream));

    launching->launch = spawner_->submit(
        action.uid,
        [launching, config = config_, logs = logs_] { return prepare_plan(*launching, config, *logs); },
        [this, alive = alive_, id = action.id, launching](sys::Launch::Outcome outcome) {
            // Move-only, so through a holder: the spawner's callback is copyable.
            auto held = std::make_shared<sys::Launch::Outcome>(std::move(outcome));
            later(io_, [this, alive, id, launching, held] {
                if (!*alive) return;
                if (auto* spawned = std::get_if<sys::Spawned>(held.get()))
                    launched(id, launching, std::move(*spawned));
                else
                    not_launched(id, launching, std::get<sys::SpawnError>(*held));
            });
        });
}

void Children::launched(core::ProcessId id, std::shared_ptr<Launching> launching, sys::Spawned spawned) {
    Child& child = *children_.at(id);
    child.launching.reset();
    launching_.erase(id);
    child.pid = spawned.pid;
    child.uid = launching->action.uid;
    child.pidfd = std::make_unique<Readiness>(io_, std::move(spawned.pidfd));
    mains_.insert(spawned.pid);
    containment_.born(
        id, sys::TreeMain{spawned.pid, child.pidfd->fd(), spawned.start_time, launching->action.uid});
    core::LaunchSucceeded told{id, spawned.pid, std::nullopt, std::nullopt, spawned.start_time};
    const auto take = [&](std::optional<ChildLog>& log, std::optional<std::string>& path) {
        if (!log) return;
        if (!log->path.empty()) path = log->path;
        child.logs.push_back(std::move(*log));
        child.logs.back().close();
    };
    take(launching->log, told.log);
    take(launching->log_stderr, told.log_stderr);
    tell_(std::move(told));
    await_exit(id);
    store(id);
}

// The service manager keeps a copy of the pidfd, from which the next procd learns how the main ended should
// this one be gone by then. After everything else: it may be slow.
void Children::store(core::ProcessId id) {
    if (!config_.stores_pidfds) return;
    later(io_, [this, alive = alive_, id] {
        if (!*alive) return;
        const auto found = children_.find(id);
        if (found != children_.end() && found->second->pidfd)
            (void)sys::store_descriptor(sys::stored_pidfd_name(id), found->second->pidfd->fd());
    });
}

void Children::not_launched(core::ProcessId id, const std::shared_ptr<Launching>& launching,
                            const sys::SpawnError& error) {
    containment_.remove(id);
    launching_.erase(id);
    children_.erase(id);
    for (const auto& log : {&launching->log, &launching->log_stderr}) {
        if (!*log) continue;
        logs_->finish(**log);
        if (!(*log)->path.empty()) logs_->remove((*log)->path);
    }
    std::string stage = sys::to_text(error.stage);
    if (!launching->log_problem.empty()) stage = launching->log_problem;
    tell_(core::LaunchFailed{id, core::LaunchFailure{std::move(stage), error.error, error.killed}});
}

void Children::carry_out(const core::AbandonLaunch& action) {
    const auto found = children_.find(action.id);
    // Where the clone is just under way this does nothing; the core asks again.
    if (found != children_.end() && found->second->launching && found->second->launching->launch)
        (void)found->second->launching->launch->abandon();
}

// What the owning process has on that stream now; null where that cannot be had.
core::ResourcePtr Children::stream_of_owner(const core::OwnerKey& owner, int stream) {
    const auto found = children_.find(static_cast<core::ProcessId>(owner.number));
    if (owner.kind != core::OwnerKind::process || found == children_.end() || !found->second->pidfd)
        return nullptr;
    // With a set-uid program's rights procd would give away what the user may not open.
    if (!sys::is_owned_by(found->second->pid, found->second->uid)) return nullptr;
    auto fd = sys::fetch_descriptor(found->second->pidfd->fd(), stream);
    if (!fd) return nullptr;
    // For this one start: on nobody's account, but as slow to close as what a client brings.
    constexpr std::size_t k_any = std::numeric_limits<std::size_t>::max();
    return hold_brought(std::move(*fd), std::make_shared<DescriptorCount>(found->second->uid, k_any));
}

// ---- exits -----------------------------------------------------------------------------------------------

void Children::await_exit(core::ProcessId id) {
    const auto found = children_.find(id);
    if (found == children_.end() || !found->second->pidfd) return;
    found->second->pidfd->on_readable([this, id] {
        refresh(id);
        // Dead, and not to be reaped yet: whoever traces it has not let it go. The descriptor stays readable
        // meanwhile.
        const auto child = children_.find(id);
        if (child != children_.end() && child->second->pidfd)
            child->second->poll.set(std::chrono::steady_clock::now() + k_traced_poll,
                                    [this, id] { await_exit(id); });
    });
}

void Children::refresh(core::ProcessId id) {
    const auto found = children_.find(id);
    if (found == children_.end() || !found->second->pidfd) return;
    Child& child = *found->second;
    if (!sys::has_exited(child.pidfd->fd())) return;
    if (!child.taken_back) {
        if (const auto exit = sys::peek_exit(child.pidfd->fd())) main_ended(id, child, core_exit(*exit));
        return;
    }
    const auto now = std::chrono::steady_clock::now();
    const bool reaped = !sys::pid_of(child.pidfd->fd());  // before the look: only then it is the last word
    auto exit = sys::recorded_exit(child.pidfd->fd());
    if (!exit && !reaped) exit = sys::zombie_exit(child.pidfd->fd());
    if (exit) {
        main_ended(id, child, core_exit(*exit));
    } else if (reaped || now - child.seen_dead.value_or(now) > k_unreaped) {
        main_ended(id, child, core::Exit{core::How::lost, 0, 0, false});
    } else if (!child.seen_dead) {
        child.seen_dead = now;
    }
}

void Children::main_ended(core::ProcessId id, Child& child, const core::Exit& exit) {
    containment_.main_reaped(id);
    // Once its end is written down, and before anybody hears of it (what is sent goes out later): a procd
    // that is killed in between leaves the code in the journal or with the zombie.
    struct Reap {
        std::unique_ptr<Readiness> pidfd;
        std::unordered_set<pid_t>& mains;
        pid_t pid;
        ~Reap() {
            (void)sys::reap(pidfd->fd());  // another's child is not procd's to reap
            mains.erase(pid);
        }
    } const reap{std::move(child.pidfd), mains_, child.pid};
    tell_(core::MainExited{id, exit});
    if (!config_.stores_pidfds) return;
    later(io_, [id] { (void)sys::remove_stored(sys::stored_pidfd_name(id)); });
}

Result<UniqueFd> Children::sentinel(core::ProcessId id) {
    const auto found = children_.find(id);
    const bool lives = found != children_.end() && found->second->pidfd;
    return lives ? sys::duplicate(found->second->pidfd->fd()) : sys::readable_for_ever();
}

bool Children::is_main(pid_t pid) const {
    const std::vector<pid_t> cloned = launching();
    return mains_.contains(pid) || std::find(cloned.begin(), cloned.end(), pid) != cloned.end();
}

std::vector<pid_t> Children::launching() const {
    std::vector<pid_t> pids;
    for (const core::ProcessId id : launching_) {
        const auto& launch = children_.at(id)->launching->launch;
        if (const pid_t pid = launch ? launch->pid() : 0) pids.push_back(pid);
    }
    return pids;
}

// ---- trees -----------------------------------------------------------------------------------------------

void Children::carry_out(const core::SendSignal& action) {
    containment_.signal_tree(action.id, action.signal, !action.tree, action.resume, action.sender);
}

void Children::carry_out(const core::KillTree& action) {
    containment_.kill_tree(action.id);
}

// Mains that end together are counted together: where counting is a sweep over all processes, one is for all.
void Children::carry_out(const core::CountTree& action) {
    to_count_.push_back(action.id);
    if (counting_) return;
    later(io_, [this, alive = alive_] {
        if (*alive) count_all();
    });
    counting_ = true;
}

void Children::count_all() {
    counting_ = false;
    for (const core::ProcessId id : std::exchange(to_count_, {}))
        if (!guarded([this, id] { count(id); })) count_later(id);
}

void Children::count_later(core::ProcessId id) {
    const auto found = children_.find(id);
    if (found == children_.end()) return;
    guarded([&] {
        found->second->poll.set(std::chrono::steady_clock::now() + k_last_poll, [this, id] { count(id); });
    });
}

void Children::count(core::ProcessId id) {
    const auto found = children_.find(id);
    if (found == children_.end() || found->second->pidfd || found->second->launching) return;
    const std::size_t rest = containment_.count_rest(id);
    if (found->second->unknown) {
        if (rest == 0) return carry_out(core::ReleaseTree{id});
        containment_.kill_tree(id);
        return watch_tree(id);
    }
    if (rest > 0) {
        found->second->drained = false;  // whoever is left may write again
        watch_tree(id);
    }
    if (rest == 0 && drain_pipes(id, *found->second)) return;
    tell_(core::TreeCounted{id, rest});
}

// Whether it has written to pipes that are not in its logs yet: it is not at its end before. Bounded by what
// a pipe holds.
bool Children::drain_pipes(core::ProcessId id, Child& child) {
    if (child.drained || child.draining > 0) return child.draining > 0;
    for (const ChildLog& log : child.logs) {
        if (log.pumped == 0) continue;
        ++child.draining;
        logs_->drain(log, [this, id] {
            Child& waiting = *children_.at(id);
            if (--waiting.draining > 0) return;
            waiting.drained = true;
            count(id);
        });
    }
    return child.draining > 0;
}

void Children::watch_tree(core::ProcessId id) {
    Child& child = *children_.at(id);
    if (!child.tree) {
        if (UniqueFd watch = containment_.empty_watch(id)) {
            child.tree = std::make_unique<Readiness>(io_, std::move(watch));
            if (child.tree->problem())
                child.tree.reset();  // counting again does
            else
                child.next_poll = k_first_poll_watched;
        }
    }
    if (child.tree && !child.tree_armed) {
        child.tree_armed = true;
        child.tree->wait(Readiness::Kind::wait_error, [this, id] {
            Child& waited = *children_.at(id);
            waited.tree_armed = false;
            sys::rearm_empty_watch(waited.tree->fd());
            count(id);
        });
    }
    child.poll.set(std::chrono::steady_clock::now() + child.next_poll, [this, id] { count(id); });
    child.next_poll = std::min<core::Duration>(child.next_poll * 2, k_last_poll);
}

void Children::carry_out(const core::ReleaseTree& action) {
    containment_.remove(action.id);
    const auto found = children_.find(action.id);
    if (found == children_.end()) return;
    for (const ChildLog& log : found->second->logs) logs_->finish(log);
    children_.erase(found);
}

}  // namespace procd::loop
