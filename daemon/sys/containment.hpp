#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

using TreeId = std::int64_t;  // the process id (the `id` of the protocol)

// The main process of a tree, as the containment needs to know it.
struct TreeMain {
    pid_t pid = 0;
    int pidfd = -1;                // borrowed; -1 after it was reaped
    std::uint64_t start_time = 0;  // field 22 of /proc/PID/stat
    uid_t uid = 0;
};

// A process for as long as it lives: a pid alone may be used again.
struct ProcessKey {
    pid_t pid = 0;
    std::uint64_t start_time = 0;

    bool operator==(const ProcessKey&) const = default;
};

// The main of a tree, looked for.
struct FoundMain {
    bool was_born = false;  // as far as anything tells
    pid_t pid = 0;          // 0: it is gone
};

// Where a tree's processes are found, signalled and proved gone. Two kinds: a cgroup a tree (exact), and
// subreaper + sweep (best effort, docs/containment.md says what can escape). Not thread-safe: the loop's
// thread only, except open_group's descriptor, which the spawner uses.
class Containment {
  public:
    virtual ~Containment() = default;

    // "cgroup" or "subreaper", and one plain sentence on what that promises here, with the path of the group.
    virtual std::string kind() const = 0;
    virtual std::string description() const = 0;

    // Makes the place a tree is born in. The descriptor goes to LaunchPlan::cgroup_fd; empty under subreaper.
    virtual Result<UniqueFd> open_group(TreeId id, const std::string& name) = 0;
    // From now on the tree has this main process.
    virtual void born(TreeId id, const TreeMain& main) = 0;
    // The main was reaped; the rest of the tree may live on.
    virtual void main_reaped(TreeId id) = 0;

    // Signals main first (if it lives), then everybody else, in passes until one finds nobody new (at most
    // k_max_passes; forkers cannot hold the loop). Each by pidfd after a check that it is still a member.
    // main_only signals the main alone.
    // resume: SIGCONT to all of them after that, since a stopped process takes the signal only when it goes
    // on.
    // sender: only those whom kill(2) would let this user signal; none: all.
    virtual void signal_tree(TreeId id, int signal, bool main_only, bool resume = false,
                             std::optional<uid_t> sender = std::nullopt) = 0;
    // cgroup.kill, and SIGKILL to the main by pidfd; under subreaper SIGKILL to all found, in passes.
    virtual void kill_tree(TreeId id) = 0;
    // How many live (not zombie) members besides the main. 0 after main_reaped: the tree is empty. Includes
    // those that another manager moved out of the group (found as children procd adopted, or by environment
    // PROCD_ID+PROCD_SOCKET or session).
    virtual std::size_t count_rest(TreeId id) = 0;
    // A descriptor that becomes ready (EPOLLPRI, cgroup.events) when the group may have become empty; empty:
    // there is none, poll. Each time it was ready, rearm_empty_watch.
    virtual UniqueFd empty_watch(TreeId id) = 0;
    // Removes the empty group. The id is forgotten.
    virtual void remove(TreeId id) = 0;

    // ---- what an earlier procd left ----
    // The trees that have a place here still, whoever lives in them.
    virtual std::vector<TreeId> left_trees() { return {}; }
    // Takes a tree back, as if it had been born here. main.pid 0: who was its main is not known; main.pidfd
    // -1: the main is gone.
    // members: known_members() of the program before, where this is the same process.
    virtual void take_back(TreeId id, const TreeMain& main, const std::vector<ProcessKey>& members) = 0;
    // Those who are known to be of a tree by more than where they live.
    virtual std::vector<ProcessKey> known_members(TreeId id) const = 0;
    // Who is the main of a tree that an earlier procd was starting: whom its group is marked with (where it
    // cannot be, the oldest in it that leads a session); without groups who leads one and has the tree's name
    // in its environment.
    virtual FoundMain find_main(TreeId id, uid_t uid) = 0;
    // Whether the kernel's facts have a process in that tree (as far as there are any).
    virtual bool holds(TreeId id, pid_t pid, uid_t uid) = 0;
    // Where the next procd finds the trees, for left_trees(): the group of this instance; empty: nowhere.
    virtual std::string place() const { return ""; }

    // The tree that a process belongs to by kernel facts (its cgroup, else its ancestry and session), if any.
    // A shortage (SysError::is_shortage) is an error: it says nothing about the process.
    virtual Result<std::optional<TreeId>> tree_of(pid_t pid) = 0;
    // Living processes that procd adopted and that belong to no tree known: listed, and ended when procd
    // stops.
    virtual std::vector<pid_t> strays() = 0;
    // SIGKILL to each stray, by pidfd. Returns how many.
    virtual std::size_t kill_strays() = 0;
};

struct ContainmentConfig {
    std::string
        socket_path;  // what children see as PROCD_SOCKET: tells this instance's processes in an environment
    // The directory of the group to make groups in; a relative one begins at procd's own. Empty: procd's own.
    std::string cgroup{};
    std::string former_place{};  // place() of the procd before; empty: there was none
};

// Reads what empty_watch gave, so that its next change is reported. Whether the group is populated now.
bool rearm_empty_watch(int watch);

// kind: "auto", "cgroup", "subreaper". auto falls back to subreaper and says why in description().
// "cgroup" where none is writable is an error that names the directory and the errno.
Result<std::unique_ptr<Containment>> make_containment(const std::string& kind,
                                                      const ContainmentConfig& config);

}  // namespace procd::sys
