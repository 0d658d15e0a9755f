#include "daemon/sys/adopted.hpp"

#include <cstdlib>
#include <unordered_set>

namespace procd::sys {
namespace {

// A process is asked again whose it is for so long: in the moment of its exec its environment reads as empty.
constexpr std::chrono::seconds k_doubt{1};

}  // namespace

bool is_alive(const ProcessKey& key) {
    const auto stat = read_stat(key.pid);
    return stat && !stat->is_dead() && (key.start_time == 0 || stat->start_time == key.start_time);
}

std::optional<TreeId> tagged_tree(pid_t pid, const std::string& socket_path) {
    const auto tag = environment_value(pid, "PROCD_ID");
    if (!tag || environment_value(pid, "PROCD_SOCKET") != socket_path) return std::nullopt;
    return std::strtoll(tag->c_str(), nullptr, 10);
}

bool is_credible(pid_t pid, const TreeMain& main) {
    const auto ids = uids_of(pid);
    return ids && ids->real == main.uid;
}

void Adopted::refresh(const Attribute& attribute, const std::function<bool(pid_t)>& except) {
    const auto now = std::chrono::steady_clock::now();
    for (auto& [pid, entry] : entries_) entry.listed = false;
    for (const pid_t pid : adopted_children()) {
        if (except(pid)) continue;
        const auto known = entries_.find(pid);
        if (known != entries_.end()) {
            known->second.listed = true;
            if (known->second.tree || now - known->second.first_seen > k_doubt) continue;
        }
        const auto stat = read_stat(pid);
        if (!stat || stat->is_dead()) continue;
        const bool same = known != entries_.end() && known->second.start_time == stat->start_time;
        const auto first_seen = same ? known->second.first_seen : now;
        entries_[pid] = Entry{stat->start_time, attribute(*stat), first_seen, true};
    }
    std::erase_if(entries_, [](const auto& item) { return !item.second.listed; });
}

std::vector<ProcessKey> Adopted::of(TreeId tree) const {
    std::vector<ProcessKey> found;
    for (const auto& [pid, entry] : entries_) {
        const ProcessKey key{pid, entry.start_time};
        if (entry.tree == tree && is_alive(key)) found.push_back(key);
    }
    return found;
}

std::vector<ProcessKey> Adopted::strays(const std::function<bool(TreeId)>& known) const {
    std::vector<ProcessKey> found;
    for (const auto& [pid, entry] : entries_) {
        const ProcessKey key{pid, entry.start_time};
        if ((!entry.tree || !known(*entry.tree)) && is_alive(key)) found.push_back(key);
    }
    return found;
}

std::vector<ProcessKey> descendants_of(const std::vector<pid_t>& roots,
                                       const std::function<bool(pid_t)>& keep) {
    std::vector<ProcessKey> found;
    std::unordered_set<pid_t> seen(roots.begin(), roots.end());
    std::vector<pid_t> todo = roots;
    while (!todo.empty()) {
        const pid_t parent = todo.back();
        todo.pop_back();
        for (const pid_t child : children_of(parent)) {
            if (!seen.insert(child).second) continue;
            todo.push_back(child);
            if (!keep(child)) continue;
            const auto stat = read_stat(child);
            if (stat && !stat->is_dead()) found.push_back({child, stat->start_time});
        }
    }
    return found;
}

}  // namespace procd::sys
