#include "daemon/sys/subreaper_containment.hpp"

#include <algorithm>
#include <signal.h>
#include <unistd.h>

#include "daemon/sys/pidfd.hpp"

namespace procd::sys {
namespace {

constexpr int k_max_passes = 16;       // of one signal
constexpr int k_max_kill_passes = 64;  // of SIGKILL: the dead do not fork, so who is left gets fewer
constexpr int k_max_ancestors = 64;

// Trees that are asked after in the same moment share a sweep so old at most.
constexpr std::chrono::milliseconds k_sweep_age{5};

// One sweep is no proof: while /proc is read, a process can fork into a pid already passed and end before its
// own is reached. Two in a row that find nobody, and nobody newly dead, are.
constexpr int k_empty_sweeps = 2;
constexpr int k_max_sweeps_a_count = 4;  // then the answer is "somebody", and the next count goes on

}  // namespace

std::string SubreaperContainment::description() const {
    const std::string why = reason_.empty() ? "" : "no cgroup may be used (" + reason_ + "); ";
    return why +
           "what processes start is found by parentage, session and environment, which a process that cleans "
           "all "
           "three can escape";
}

Result<UniqueFd> SubreaperContainment::open_group(TreeId id, const std::string&) {
    trees_[id] = Tree{};
    return UniqueFd();
}

void SubreaperContainment::born(TreeId id, const TreeMain& main) {
    const auto found = trees_.find(id);
    if (found == trees_.end()) return;
    Tree& tree = found->second;
    tree.main = main;
    tree.members.erase(main.pid);  // seen by a sweep before it was known to be the main
    tree.touched = sweeps_;
    tree.times_found_empty = 0;
}

void SubreaperContainment::take_back(TreeId id, const TreeMain& main,
                                     const std::vector<ProcessKey>& members) {
    Tree& tree = trees_[id] = Tree{};
    tree.main = main;
    tree.reaped = main.pidfd < 0;
    tree.taken_back = true;
    tree.touched = sweeps_;
    for (const ProcessKey& member : members) tree.members[member.pid] = member.start_time;
}

std::vector<ProcessKey> SubreaperContainment::known_members(TreeId id) const {
    std::vector<ProcessKey> members;
    if (const auto tree = trees_.find(id); tree != trees_.end())
        for (const auto& [pid, start] : tree->second.members) members.push_back({pid, start});
    return members;
}

FoundMain SubreaperContainment::find_main(TreeId id, uid_t uid) {
    TreeMain user;
    user.uid = uid;
    for (const pid_t pid : all_pids()) {
        const auto stat = read_stat(pid);
        if (!stat || stat->is_dead() || stat->session != pid || pid == ::getpid()) continue;
        if (tagged_tree(pid, socket_path_) == id && is_credible(pid, user)) return {true, pid};
    }
    return {};
}

void SubreaperContainment::main_reaped(TreeId id) {
    const auto tree = trees_.find(id);
    if (tree == trees_.end()) return;
    tree->second.reaped = true;
    tree->second.main.pidfd = -1;
    tree->second.touched = sweeps_;
}

void SubreaperContainment::fresh_sweep_for(const Tree& tree) {
    // Where there are many processes a sweep takes its time, and serves for longer: a thousand trees that end
    // together must not cost a thousand sweeps. What came since is looked for below the members.
    const auto age = std::max<std::chrono::steady_clock::duration>(k_sweep_age, sweep_took_ * 4);
    const bool recent = std::chrono::steady_clock::now() - last_sweep_ < age;
    if (!recent || sweeps_ <= tree.touched) sweep();
}

void SubreaperContainment::signal_main(const Tree& tree, int signal, std::optional<uid_t> sender) const {
    if (!tree.reaped && tree.main.pidfd >= 0 && is_let(sender, tree.main.pid))
        (void)send_signal(tree.main.pidfd, signal);
}

bool SubreaperContainment::is_known(const ProcessKey& key) const {
    for (const auto& [id, tree] : trees_) {
        if (key == ProcessKey{tree.main.pid, tree.main.start_time}) return true;
        const auto member = tree.members.find(key.pid);
        if (member != tree.members.end() && member->second == key.start_time) return true;
    }
    return std::find(strays_.begin(), strays_.end(), key) != strays_.end();
}

// Whether procd has adopted anybody new, alive or (not in dead yet) dead; the living are attributed. The
// newest first: it has the longest to live.
bool SubreaperContainment::take_newcomers(std::unordered_set<pid_t>& dead) {
    bool anybody = false;
    auto pids = adopted_children();
    std::reverse(pids.begin(), pids.end());
    for (const pid_t pid : pids) {
        if (dead.count(pid) != 0) continue;
        const auto stat = read_stat(pid);
        if (!stat || is_known({pid, stat->start_time})) continue;
        if (stat->is_dead()) {
            anybody = dead.insert(pid).second || anybody;
            continue;
        }
        anybody = true;
        auto owner = known_owner(*stat);
        TreeId id = 0;
        if (!owner && is_tagged_for(pid, id)) owner = id;
        if (!owner) owner = only_candidate(*stat);
        if (owner) {
            trees_.at(*owner).members[pid] = stat->start_time;
        } else {
            strays_.push_back({pid, stat->start_time});
        }
    }
    return anybody;
}

// Everybody but the main. The first pass takes what a sweep knows; the next look only below these and at what
// procd has adopted since, which is cheap enough to win against a process that forks and ends, forks and
// ends.
void SubreaperContainment::signal_members(Tree& tree, int signal, int max_passes, bool resume,
                                          std::optional<uid_t> sender) {
    std::unordered_set<pid_t> signalled;
    std::unordered_set<pid_t> dead;
    for (const auto& [pid, start] : dead_) dead.insert(pid);
    for (int pass = 0; pass < max_passes; ++pass) {
        std::vector<pid_t> roots;
        bool anybody_new = false;
        for (const auto& [pid, start] : tree.members) {
            roots.push_back(pid);
            if (!signalled.insert(pid).second) continue;
            anybody_new = true;
            signal_process(pid, start, signal, sender);
        }
        if (!tree.reaped && tree.main.pid != 0) roots.push_back(tree.main.pid);
        for (const ProcessKey& key : descendants_of(roots, [](pid_t) { return true; })) {
            if (tree.members.emplace(key.pid, key.start_time).second) anybody_new = true;
        }
        anybody_new = take_newcomers(dead) || anybody_new;
        if (!anybody_new) break;
    }
    if (resume)
        for (const auto& [pid, start] : tree.members) signal_process(pid, start, SIGCONT);
    tree.touched = sweeps_;
}

void SubreaperContainment::signal_tree(TreeId id, int signal, bool main_only, bool resume,
                                       std::optional<uid_t> sender) {
    const auto found = trees_.find(id);
    if (found == trees_.end()) return;
    Tree& tree = found->second;
    // Before the main is told: its end would take the parentage away that leads to the others.
    if (!main_only) fresh_sweep_for(tree);
    signal_main(tree, signal, sender);
    if (!main_only) signal_members(tree, signal, k_max_passes, resume, sender);
    if (resume) signal_main(tree, SIGCONT);
}

void SubreaperContainment::kill_tree(TreeId id) {
    const auto found = trees_.find(id);
    if (found == trees_.end()) return;
    Tree& tree = found->second;
    fresh_sweep_for(tree);
    signal_main(tree, SIGKILL);
    signal_members(tree, SIGKILL, k_max_kill_passes, false);
}

std::size_t SubreaperContainment::count_rest(TreeId id) {
    const auto found = trees_.find(id);
    if (found == trees_.end()) return 0;
    Tree& tree = found->second;
    // Nobody who is found nowhere can fork: once proved, that stays so.
    if (tree.times_found_empty >= k_empty_sweeps) return 0;
    fresh_sweep_for(tree);
    for (int i = 0; i < k_max_sweeps_a_count; ++i) {
        if (!tree.main_is_dead || !tree.members.empty() || tree.times_found_empty >= k_empty_sweeps) break;
        sweep();
    }
    const bool proved = tree.times_found_empty >= k_empty_sweeps;
    return tree.members.empty() && tree.reaped && !proved ? 1 : tree.members.size();
}

void SubreaperContainment::remove(TreeId id) {
    trees_.erase(id);
}

std::optional<TreeId> SubreaperContainment::known_owner(const ProcessStat& process) const {
    for (const auto& [id, tree] : trees_) {
        if (process.pid == tree.main.pid && process.start_time == tree.main.start_time) return id;
        const auto member = tree.members.find(process.pid);
        if (member != tree.members.end() && member->second == process.start_time) return id;
    }
    for (const auto& [id, tree] : trees_) {
        if (tree.sessions.count(process.session) != 0) return id;
        if (tree.main.pid == 0 || process.session != tree.main.pid) continue;
        const auto leader = read_stat(process.session);
        if (!leader || leader->start_time == tree.main.start_time) return id;
    }
    return std::nullopt;
}

Result<std::optional<TreeId>> SubreaperContainment::tree_of(pid_t pid) {
    const pid_t self = ::getpid();
    auto stat = read_stat(pid);
    for (int i = 0; stat && i < k_max_ancestors && stat->pid > 1 && stat->pid != self; ++i) {
        if (const auto id = known_owner(*stat)) return id;
        stat = read_stat(stat->ppid);
    }
    if (!stat && stat.error().is_shortage()) return stat.error();
    return std::optional<TreeId>();
}

std::vector<pid_t> SubreaperContainment::strays() {
    sweep();
    std::vector<pid_t> pids;
    for (const ProcessKey& key : strays_) pids.push_back(key.pid);
    return pids;
}

std::size_t SubreaperContainment::kill_strays() {
    sweep();
    std::size_t killed = 0;
    for (const ProcessKey& key : strays_) {
        if (signal_process(key.pid, key.start_time, SIGKILL)) ++killed;
    }
    return killed;
}

Result<std::unique_ptr<Containment>> make_subreaper_containment(const ContainmentConfig& config,
                                                                const std::string& reason) {
    return std::unique_ptr<Containment>(std::make_unique<SubreaperContainment>(config.socket_path, reason));
}

}  // namespace procd::sys
