#include "daemon/sys/cgroup_containment.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <thread>
#include <unistd.h>
#include <unordered_set>

#include "daemon/sys/child.hpp"
#include "daemon/sys/names.hpp"
#include "daemon/sys/pidfd.hpp"

namespace procd::sys {
namespace {

constexpr int k_max_passes = 16;            // of one signal; who forks faster than that meets SIGKILL later
constexpr int k_max_ancestors = 64;         // looked at to find a process's tree
constexpr std::size_t k_doomed_a_time = 8;  // groups tried again on each removal
constexpr int k_farewell_tries = 100;
constexpr std::chrono::milliseconds k_farewell_pause{2};

Result<pid_t> main_mark(const std::string& directory) {
    long pid = 0;
    const ssize_t size = ::getxattr(directory.c_str(), k_main_mark, &pid, sizeof pid);
    if (size != sizeof pid) return SysError{"getxattr", directory, size < 0 ? errno : EBADMSG};
    return static_cast<pid_t>(pid);
}

// Where no group is marked: who is most likely its main.
pid_t oldest_leader(const std::string& directory) {
    pid_t main = 0;
    std::pair<bool, std::uint64_t> best;  // that leads no session, and when it was started
    for (const pid_t pid : processes_in(directory)) {
        const auto stat = read_stat(pid);
        if (!stat || stat->is_dead()) continue;
        const std::pair<bool, std::uint64_t> rank{stat->session != pid, stat->start_time};
        if (main != 0 && best <= rank) continue;
        main = pid;
        best = rank;
    }
    return main;
}

}  // namespace

Result<std::unique_ptr<Containment>> CgroupContainment::make(const CgroupPlace& base,
                                                             const std::string& socket_path,
                                                             const std::string& former_place) {
    auto instance = make_instance_group(base, socket_path, former_place);
    if (!instance) return instance.error();
    return std::unique_ptr<Containment>(new CgroupContainment(std::move(*instance), socket_path));
}

CgroupContainment::~CgroupContainment() {
    // The last process of a group may be on its way out still. What lives on (kept on purpose) keeps its
    // group.
    for (int i = 0; i < k_farewell_tries && !remove_group(instance_.place.directory); ++i) {
        if (is_populated(instance_.place.directory) && i > k_farewell_tries / 10) return;
        std::this_thread::sleep_for(k_farewell_pause);
    }
}

std::string CgroupContainment::description() const {
    return "every process has a cgroup of its own below " + instance_.place.directory +
           ": whatever it starts is found there and ends with it";
}

Result<UniqueFd> CgroupContainment::open_group(TreeId id, const std::string& name) {
    const std::string component = "/" + group_name(id, name);
    const CgroupPlace place{instance_.place.directory + component, instance_.place.path + component};
    if (::mkdir(place.directory.c_str(), 0755) != 0) return SysError{"mkdir", place.directory, errno};
    UniqueFd group(::open(place.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!group) {
        const int error = errno;
        ::rmdir(place.directory.c_str());
        return SysError{"open", place.directory, error};
    }
    trees_[id] = Tree{place, {}, false, {}};
    return group;
}

void CgroupContainment::born(TreeId id, const TreeMain& main) {
    const auto tree = trees_.find(id);
    if (tree == trees_.end()) return;
    tree->second.main = main;
    tree->second.reaped = false;
    by_main_[main.pid] = id;
}

void CgroupContainment::main_reaped(TreeId id) {
    const auto tree = trees_.find(id);
    if (tree == trees_.end()) return;
    tree->second.reaped = true;
    tree->second.main.pidfd = -1;
}

std::optional<TreeId> CgroupContainment::tree_of_group(const std::string& path) const {
    const auto below = [&](const CgroupPlace& root) -> std::optional<TreeId> {
        if (!is_within(path, root.path) || path.size() <= root.path.size() + 1) return std::nullopt;
        const std::string rest = path.substr(root.path.size() + 1);
        const TreeId id = id_of_group_name(rest.substr(0, rest.find('/')));
        const auto tree = trees_.find(id);
        return tree == trees_.end() ? std::nullopt : std::optional(id);
    };
    if (const auto id = below(instance_.place)) return id;
    return instance_.former ? below(*instance_.former) : std::nullopt;
}

std::optional<TreeId> CgroupContainment::tree_of_session(pid_t session) const {
    const auto found = by_main_.find(session);
    if (found == by_main_.end()) return std::nullopt;
    // The number of a session is free again once nobody is left in it: then its leader is somebody else.
    const auto leader = read_stat(session);
    const auto start = trees_.at(found->second).main.start_time;
    if (leader && start != 0 && leader->start_time != start) return std::nullopt;
    return found->second;
}

// Whose an adopted process is: by its group, else its environment, else its session.
std::optional<TreeId> CgroupContainment::attribute(const ProcessStat& stat) const {
    if (const auto path = cgroup_of(stat.pid)) {
        if (const auto id = tree_of_group(*path)) return id;
    }
    if (const auto tag = tagged_tree(stat.pid, socket_path_)) {
        const auto tree = trees_.find(*tag);
        if (tree != trees_.end() && is_credible(stat.pid, tree->second.main)) return *tag;
    }
    return tree_of_session(stat.session);
}

// In the group of a living tree: procd's own groups beside those hold nobody back.
bool CgroupContainment::is_contained(pid_t pid) const {
    const auto path = cgroup_of(pid);
    return path && tree_of_group(*path).has_value();
}

void CgroupContainment::refresh_adopted() {
    adopted_.refresh([this](const ProcessStat& stat) { return attribute(stat); },
                     [this](pid_t pid) {
                         const auto found = by_main_.find(pid);
                         return found != by_main_.end() && !trees_.at(found->second).reaped;
                     });
}

std::vector<pid_t> CgroupContainment::others_in_group(const Tree& tree) const {
    auto pids = processes_in(tree.place.directory);
    if (!tree.reaped) std::erase(pids, tree.main.pid);
    return pids;
}

// Brings tree.escaped up to date: what procd adopted and is of this tree, what descends from members (as far
// as given) or from other escaped ones, and what was known before; in no group of ours, and alive.
void CgroupContainment::find_escaped(TreeId id, Tree& tree, const std::vector<pid_t>& members) {
    refresh_adopted();
    const auto add = [&tree](const ProcessKey& key) {
        if (std::find(tree.escaped.begin(), tree.escaped.end(), key) == tree.escaped.end()) {
            tree.escaped.push_back(key);
        }
    };
    std::erase_if(tree.escaped, [](const ProcessKey& key) { return !is_alive(key); });
    for (const ProcessKey& key : adopted_.of(id)) {
        if (!is_contained(key.pid)) add(key);
    }
    std::vector<pid_t> roots = members;
    for (const ProcessKey& key : tree.escaped) roots.push_back(key.pid);
    if (roots.empty()) return;
    for (const ProcessKey& key : descendants_of(roots, [this](pid_t pid) { return !is_contained(pid); }))
        add(key);
}

void CgroupContainment::signal_main(const Tree& tree, int signal, std::optional<uid_t> sender) const {
    if (!tree.reaped && tree.main.pidfd >= 0 && is_let(sender, tree.main.pid))
        (void)send_signal(tree.main.pidfd, signal);
}

bool CgroupContainment::signal_member(const Tree& tree, pid_t pid, int signal,
                                      std::optional<uid_t> sender) const {
    // First the descriptor, then the look: if the pid has passed to another process by now, either the
    // descriptor is of the dead one, or the look finds the other outside of the group.
    const auto pidfd = open_pidfd(pid);
    if (!pidfd) return false;
    const auto path = cgroup_of(pid);
    return path && is_within(*path, tree.place.path) && is_let(sender, pid) &&
           static_cast<bool>(send_signal(pidfd->get(), signal));
}

void CgroupContainment::signal_tree(TreeId id, int signal, bool main_only, bool resume,
                                    std::optional<uid_t> sender) {
    const auto found = trees_.find(id);
    if (found == trees_.end()) return;
    Tree& tree = found->second;
    // A descendant outside of the group is found by its parent, which the first signal may take away.
    if (!main_only) {
        auto members = others_in_group(tree);
        if (!tree.reaped && tree.main.pid != 0) members.push_back(tree.main.pid);
        find_escaped(id, tree, members);
    }
    signal_main(tree, signal, sender);
    if (main_only) {
        if (resume) signal_main(tree, SIGCONT);
        return;
    }
    std::unordered_set<pid_t> signalled;
    for (int pass = 0; pass < k_max_passes; ++pass) {
        bool anybody_new = false;
        for (const pid_t pid : others_in_group(tree)) {
            if (!signalled.insert(pid).second) continue;
            anybody_new = true;
            signal_member(tree, pid, signal, sender);
        }
        if (pass > 0) find_escaped(id, tree, {});
        for (const ProcessKey& key : tree.escaped) {
            if (!signalled.insert(key.pid).second) continue;
            anybody_new = true;
            signal_process(key.pid, key.start_time, signal, sender);
        }
        if (!anybody_new) break;
    }
    if (!resume) return;
    signal_main(tree, SIGCONT);
    for (const pid_t pid : others_in_group(tree)) signal_member(tree, pid, SIGCONT);
    for (const ProcessKey& key : tree.escaped) signal_process(key.pid, key.start_time, SIGCONT);
}

void CgroupContainment::kill_tree(TreeId id) {
    const auto found = trees_.find(id);
    if (found == trees_.end()) return;
    Tree& tree = found->second;
    auto members = others_in_group(tree);
    if (!tree.reaped && tree.main.pid != 0) members.push_back(tree.main.pid);
    find_escaped(id, tree, members);
    signal_main(tree, SIGKILL);
    kill_group(tree.place.directory, [&](pid_t pid) { signal_member(tree, pid, SIGKILL); });
    std::unordered_set<pid_t> killed;
    for (int pass = 0; pass < k_max_passes && !tree.escaped.empty(); ++pass) {
        bool anybody_new = false;
        for (const ProcessKey& key : tree.escaped) {
            if (!killed.insert(key.pid).second) continue;
            anybody_new = true;
            signal_process(key.pid, key.start_time, SIGKILL);
        }
        if (!anybody_new) break;
        find_escaped(id, tree, {});
    }
}

std::size_t CgroupContainment::count_rest(TreeId id) {
    const auto found = trees_.find(id);
    if (found == trees_.end()) return 0;
    Tree& tree = found->second;
    std::size_t members = 0;
    if (is_populated(tree.place.directory)) {
        members = others_in_group(tree).size();
        // Populated by nobody that is listed: somebody in the last steps of an exit, or outside of this pid
        // namespace.
        if (members == 0 && tree.reaped && is_populated(tree.place.directory)) members = 1;
    }
    find_escaped(id, tree, {});
    return members + tree.escaped.size();
}

UniqueFd CgroupContainment::empty_watch(TreeId id) {
    const auto tree = trees_.find(id);
    return tree == trees_.end() ? UniqueFd() : watch_events(tree->second.place.directory);
}

void CgroupContainment::remove(TreeId id) {
    const auto found = trees_.find(id);
    if (found == trees_.end()) return;
    const Tree tree = std::move(found->second);
    trees_.erase(found);
    const auto main = by_main_.find(tree.main.pid);
    if (main != by_main_.end() && main->second == id) by_main_.erase(main);
    remove_doomed();
    if (!remove_group(tree.place.directory)) doomed_.push_back(tree.place.directory);
}

void CgroupContainment::remove_doomed() {
    const std::size_t count = std::min(doomed_.size(), k_doomed_a_time);
    for (std::size_t i = 0; i < count; ++i) {
        std::string directory = std::move(doomed_.front());
        doomed_.erase(doomed_.begin());
        if (!remove_group(directory)) doomed_.push_back(std::move(directory));
    }
}

// ---- what an earlier procd left --------------------------------------------------------------------------

std::vector<TreeId> CgroupContainment::left_trees() {
    left_.clear();
    const auto look = [this](const CgroupPlace& root) {
        for (const std::string& directory : child_groups(root.directory)) {
            const std::string component = directory.substr(root.directory.size());
            const TreeId id = id_of_group_name(std::string_view(component).substr(1));
            if (id > 0 && trees_.count(id) == 0)
                left_.insert_or_assign(id, CgroupPlace{directory, root.path + component});
        }
    };
    if (instance_.former) look(*instance_.former);
    look(instance_.place);
    std::vector<TreeId> ids;
    for (const auto& [id, place] : left_) ids.push_back(id);
    return ids;
}

void CgroupContainment::take_back(TreeId id, const TreeMain& main, const std::vector<ProcessKey>& members) {
    auto place = left_.extract(id);
    // One that has no group here is what its main leads to.
    CgroupPlace found = place.empty() ? CgroupPlace{"/nowhere", "/nowhere"} : std::move(place.mapped());
    trees_[id] = Tree{std::move(found), main, main.pidfd < 0, members};
    if (main.pid != 0) by_main_[main.pid] = id;
}

std::vector<ProcessKey> CgroupContainment::known_members(TreeId id) const {
    const auto tree = trees_.find(id);
    return tree == trees_.end() ? std::vector<ProcessKey>() : tree->second.escaped;
}

FoundMain CgroupContainment::find_main(TreeId id, uid_t uid) {
    const auto left = left_.find(id);
    if (left == left_.end()) return {};
    const auto mark = main_mark(left->second.directory);
    if (mark) return {true, holds(id, *mark, uid) ? *mark : 0};
    // Unmarked and empty, where groups are marked: nobody was ever in it.
    const pid_t found = oldest_leader(left->second.directory);
    return {found != 0 || mark.error().error == EOPNOTSUPP, found};
}

bool CgroupContainment::holds(TreeId id, pid_t pid, uid_t uid) {
    const auto left = left_.find(id);
    const auto path = cgroup_of(pid);
    if (left != left_.end() && path && is_within(*path, left->second.path)) return true;
    // Another manager may have moved it.
    TreeMain main;
    main.uid = uid;
    return tagged_tree(pid, socket_path_) == id && is_credible(pid, main);
}

Result<std::optional<TreeId>> CgroupContainment::tree_of(pid_t pid) {
    auto stat = read_stat(pid);
    const pid_t self = ::getpid();
    for (int i = 0; stat && i < k_max_ancestors && stat->pid > 1 && stat->pid != self; ++i) {
        const auto path = cgroup_of(stat->pid);
        if (!path && path.error().is_shortage()) return path.error();
        if (path) {
            if (const auto id = tree_of_group(*path)) return id;
        }
        const ProcessKey key{stat->pid, stat->start_time};
        for (const auto& [id, tree] : trees_) {
            if (std::find(tree.escaped.begin(), tree.escaped.end(), key) != tree.escaped.end())
                return std::optional(id);
        }
        if (const auto id = tree_of_session(stat->session)) return id;
        stat = read_stat(stat->ppid);
    }
    if (!stat && stat.error().is_shortage()) return stat.error();
    return std::optional<TreeId>();
}

std::vector<pid_t> CgroupContainment::strays() {
    refresh_adopted();
    std::vector<pid_t> pids;
    for (const ProcessKey& key : adopted_.strays([this](TreeId id) { return trees_.count(id) != 0; })) {
        pids.push_back(key.pid);
    }
    return pids;
}

std::size_t CgroupContainment::kill_strays() {
    refresh_adopted();
    std::size_t killed = 0;
    for (const ProcessKey& key : adopted_.strays([this](TreeId id) { return trees_.count(id) != 0; })) {
        if (signal_process(key.pid, key.start_time, SIGKILL)) ++killed;
    }
    return killed;
}

}  // namespace procd::sys
