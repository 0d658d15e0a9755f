#include <cstdlib>
#include <time.h>
#include <unistd.h>

#include "daemon/sys/subreaper_containment.hpp"

// How a sweep tells whose each process is. Each step gives owners to processes that have none yet, the surest
// first.

namespace procd::sys {
namespace {

constexpr int k_max_ancestors = 1000;

// Sweeps that may be put in doubt by the dead of nobody known. Other trees can leave such without end, and
// this one's end must not wait for theirs.
constexpr int k_max_doubts = 100;

// A process so young may be in the moment of its exec, when its environment reads as empty: it is asked
// again.
constexpr std::uint64_t k_doubt_seconds = 1;

std::uint64_t ticks_since_boot() {
    timespec now{};
    ::clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
}

bool was_settled(const ProcessStat& process) {
    static const auto ticks_a_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    return process.start_time + (k_doubt_seconds + 1) * ticks_a_second < ticks_since_boot();
}

// Whether a process descends from procd (or another root), as the kernel has it now. Only such can be
// anybody's of ours: what an environment or a session says of any other process is no evidence.
bool descends_from(const std::unordered_set<pid_t>& roots, ProcessStat process,
                   const std::unordered_map<pid_t, ProcessStat>& processes) {
    for (int i = 0; i < k_max_ancestors; ++i) {
        if (roots.count(process.ppid) != 0) return true;
        if (process.ppid <= 1) return false;
        if (const auto parent = processes.find(process.ppid); parent != processes.end()) {
            process = parent->second;
            continue;
        }
        // The parent ended while the list was read: whose child is it now?
        const auto again = read_stat(process.pid);
        if (!again || again->start_time != process.start_time || again->ppid == process.ppid) return false;
        process = *again;
    }
    return false;
}

}  // namespace

void SubreaperContainment::sweep() {
    ++sweeps_;
    const auto began = std::chrono::steady_clock::now();
    Processes processes;
    for (const pid_t pid : all_pids()) {
        auto stat = read_stat(pid);
        if (!stat || stat->is_dead() || stat->is_kernel_thread() || pid == ::getpid()) continue;
        processes.emplace(pid, std::move(*stat));
    }
    remove_strangers(processes);
    Owners owners;
    attribute_known(processes, owners);
    attribute_by_session(processes, owners);
    attribute_by_descent(processes, owners);
    attribute_by_environment(processes, owners);
    attribute_by_descent(processes, owners);
    attribute_adopted(processes, owners);
    attribute_by_descent(processes, owners);
    remember(processes, owners);
    last_sweep_ = std::chrono::steady_clock::now();
    sweep_took_ = last_sweep_ - began;
}

// Who is nobody's of ours: neither below procd, nor below the main of a tree that was taken back, or one of
// its members, nor in such a main's session (whose number is nobody else's while the main lives, or somebody
// known is in it; after that, who is in it must name the tree in its environment, too).
void SubreaperContainment::remove_strangers(Processes& processes) {
    std::unordered_set<pid_t> roots{::getpid()};
    std::unordered_set<pid_t> sessions;
    std::unordered_map<pid_t, TreeId> left_sessions;
    const auto add = [&](pid_t pid, std::uint64_t start) {
        const auto process = processes.find(pid);
        if (process == processes.end() || process->second.start_time != start) return;
        roots.insert(pid);
        sessions.insert(process->second.session);
    };
    for (const auto& [id, tree] : trees_) {
        if (!tree.taken_back) continue;
        add(tree.main.pid, tree.main.start_time);
        for (const auto& [pid, start] : tree.members) add(pid, start);
        if (tree.main.pid != 0 && processes.count(tree.main.pid) == 0) left_sessions[tree.main.pid] = id;
    }
    const auto is_left = [&](const ProcessStat& process) {
        const auto left = left_sessions.find(process.session);
        if (left == left_sessions.end()) return false;
        TreeId id = 0;
        const bool is_tagged = is_tagged_for(process.pid, id) && id == left->second;
        if (!is_tagged && !was_settled(process)) unsettled_ = true;
        return is_tagged;
    };
    std::vector<pid_t> strangers;
    for (const auto& [pid, process] : processes) {
        const bool ours = roots.count(pid) != 0 || sessions.count(process.session) != 0 ||
                          descends_from(roots, process, processes) || is_left(process);
        if (!ours) strangers.push_back(pid);
    }
    for (const pid_t pid : strangers) processes.erase(pid);
}

// Mains, and members of earlier sweeps that live.
void SubreaperContainment::attribute_known(const Processes& processes, Owners& owners) const {
    for (const auto& [id, tree] : trees_) {
        const auto main = processes.find(tree.main.pid);
        if (main != processes.end() && main->second.start_time == tree.main.start_time) {
            owners[tree.main.pid] = id;
        }
        for (const auto& [pid, member] : tree.members) {
            const auto process = processes.find(pid);
            if (process != processes.end() && process->second.start_time == member) {
                owners.emplace(pid, id);
            }
        }
    }
}

void SubreaperContainment::attribute_by_session(const Processes& processes, Owners& owners) const {
    std::unordered_map<pid_t, TreeId> sessions;
    for (const auto& [id, tree] : trees_) {
        for (const pid_t session : tree.sessions) sessions.emplace(session, id);
        // The session of a main outlives it, but its number is free again once the session is empty too.
        const auto leader = processes.find(tree.main.pid);
        const bool reused = leader != processes.end() && leader->second.start_time != tree.main.start_time;
        if (tree.main.pid != 0 && !reused) sessions[tree.main.pid] = id;
    }
    for (const auto& [pid, process] : processes) {
        const auto session = sessions.find(process.session);
        if (session != sessions.end()) owners.emplace(pid, session->second);
    }
}

void SubreaperContainment::attribute_by_descent(const Processes& processes, Owners& owners) const {
    std::vector<pid_t> line;
    for (const auto& [pid, process] : processes) {
        line.clear();
        pid_t at = pid;
        auto owner = owners.end();
        for (int i = 0; i < k_max_ancestors; ++i) {
            owner = owners.find(at);
            if (owner != owners.end()) break;
            line.push_back(at);
            const auto ancestor = processes.find(at);
            if (ancestor == processes.end()) break;
            at = ancestor->second.ppid;
        }
        if (owner == owners.end()) continue;
        const TreeId id = owner->second;
        for (const pid_t descendant : line) owners.emplace(descendant, id);
    }
}

bool SubreaperContainment::is_tagged_for(pid_t pid, TreeId& id) const {
    const auto tag = tagged_tree(pid, socket_path_);
    if (!tag) return false;
    id = *tag;
    const auto tree = trees_.find(id);
    return tree != trees_.end() && is_credible(pid, tree->second.main);
}

void SubreaperContainment::attribute_by_environment(const Processes& processes, Owners& owners) {
    std::erase_if(untagged_, [&processes](const auto& item) {
        const auto process = processes.find(item.first);
        return process == processes.end() || process->second.start_time != item.second;
    });
    for (const auto& [pid, process] : processes) {
        if (owners.count(pid) != 0 || untagged_.count(pid) != 0) continue;
        TreeId id = 0;
        if (is_tagged_for(pid, id)) {
            owners[pid] = id;
        } else if (was_settled(process)) {
            untagged_[pid] = process.start_time;
        }
    }
}

std::optional<TreeId> SubreaperContainment::only_candidate(const ProcessStat& process) const {
    const auto uid = effective_uid_of(process.pid);
    if (!uid) return std::nullopt;
    std::optional<TreeId> candidate;
    for (const auto& [id, tree] : trees_) {
        if (tree.main.pid == 0 || tree.main.start_time > process.start_time || tree.main.uid != *uid)
            continue;
        if (candidate) return std::nullopt;
        candidate = id;
    }
    return candidate;
}

// Somebody whom this sweep was too late to look at among the others.
void SubreaperContainment::note_late(const ProcessStat& process) {
    const auto owner = known_owner(process);
    if (!owner) {
        unsettled_ = true;
    } else if (trees_.at(*owner).main.pid != process.pid) {
        trees_.at(*owner).lost_one = true;
    }
}

void SubreaperContainment::attribute_adopted(const Processes& processes, Owners& owners) {
    strays_.clear();
    std::unordered_map<pid_t, std::uint64_t> dead;
    for (const pid_t pid : adopted_children()) {
        if (owners.count(pid) != 0) continue;
        const auto process = processes.find(pid);
        if (process != processes.end()) {
            if (const auto id = only_candidate(process->second)) {
                owners[pid] = *id;
            } else {
                strays_.push_back({pid, process->second.start_time});
            }
            continue;
        }
        const auto stat = read_stat(pid);
        if (!stat) continue;
        const auto noted = dead_.find(pid);
        if (noted == dead_.end() || noted->second != stat->start_time) note_late(*stat);
        if (stat->is_dead()) dead[pid] = stat->start_time;
    }
    dead_ = std::move(dead);
}

void SubreaperContainment::remember(const Processes& processes, const Owners& owners) {
    for (auto& [id, tree] : trees_) {
        tree.members.clear();
        tree.sessions.clear();
        const auto main = processes.find(tree.main.pid);
        const bool main_lives = main != processes.end() && main->second.start_time == tree.main.start_time;
        tree.main_is_dead = tree.main.pid != 0 && !main_lives;
    }
    for (const auto& [pid, id] : owners) {
        const auto process = processes.find(pid);
        if (process == processes.end()) continue;
        Tree& tree = trees_.at(id);
        tree.sessions.insert(process->second.session);
        const bool is_main = pid == tree.main.pid && process->second.start_time == tree.main.start_time;
        if (!is_main) tree.members[pid] = process->second.start_time;
    }
    for (auto& [id, tree] : trees_) {
        if (!tree.main_is_dead || !tree.members.empty() || tree.lost_one) {
            tree.times_found_empty = 0;
        } else if (unsettled_ && tree.times_doubted < k_max_doubts) {
            tree.times_found_empty = 0;
            ++tree.times_doubted;
        } else {
            ++tree.times_found_empty;
        }
        tree.lost_one = false;
    }
    unsettled_ = false;
}

}  // namespace procd::sys
