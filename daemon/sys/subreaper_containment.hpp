#pragma once

#include <chrono>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "daemon/sys/adopted.hpp"
#include "daemon/sys/containment.hpp"

namespace procd::sys {

// Trees without cgroups. procd is the subreaper of all, and a sweep over /proc tells whose each process is:
//   - it descends from a main or from a member known before;
//   - its session is a main's, or a known member's;
//   - its environment has PROCD_ID and PROCD_SOCKET as procd gave them;
//   - procd adopted it, and only one tree can be meant (same user, older than the process).
// What ends faster than it can be looked at is seen all the same: procd adopts it, and its zombie stays until
// it is reaped. Once attributed, a process is remembered, so that what it starts is found though its
// parentage gets lost. A process that left its session, cleaned its environment and was orphaned between two
// sweeps is a stray.
class SubreaperContainment : public Containment {
  public:
    SubreaperContainment(std::string socket_path, std::string reason)
        : socket_path_(std::move(socket_path)), reason_(std::move(reason)) {}

    std::string kind() const override { return "subreaper"; }
    std::string description() const override;
    Result<UniqueFd> open_group(TreeId id, const std::string& name) override;
    void born(TreeId id, const TreeMain& main) override;
    void main_reaped(TreeId id) override;
    void signal_tree(TreeId id, int signal, bool main_only, bool resume,
                     std::optional<uid_t> sender) override;
    void kill_tree(TreeId id) override;
    std::size_t count_rest(TreeId id) override;
    UniqueFd empty_watch(TreeId) override { return {}; }
    void remove(TreeId id) override;
    void take_back(TreeId id, const TreeMain& main, const std::vector<ProcessKey>& members) override;
    std::vector<ProcessKey> known_members(TreeId id) const override;
    FoundMain find_main(TreeId id, uid_t uid) override;
    bool holds(TreeId, pid_t, uid_t) override { return true; }
    Result<std::optional<TreeId>> tree_of(pid_t pid) override;
    std::vector<pid_t> strays() override;
    std::size_t kill_strays() override;

  private:
    struct Tree {
        TreeMain main;
        bool reaped = false;
        bool taken_back = false;  // an earlier procd's: its main, and what that leads to, is no child of ours
        bool main_is_dead = false;  // in the last sweep: a zombie, or gone
        int times_found_empty = 0;  // sweeps in a row that found main dead, no member, and no sign of one
        int times_doubted = 0;      // sweeps that would have found it empty, but were unsettled
        bool lost_one = false;      // the last sweep found one of its members only just dead
        std::uint64_t touched = 0;  // the sweep after which something was done to it
        std::unordered_map<pid_t, std::uint64_t> members;  // pid and start time
        std::unordered_set<pid_t> sessions;                // of members living in the last sweep
    };
    using Processes = std::unordered_map<pid_t, ProcessStat>;

    using Owners = std::unordered_map<pid_t, TreeId>;

    void sweep();
    void remove_strangers(Processes& processes);
    void fresh_sweep_for(const Tree& tree);
    void attribute_known(const Processes& processes, Owners& owners) const;
    void attribute_by_session(const Processes& processes, Owners& owners) const;
    void attribute_by_environment(const Processes& processes, Owners& owners);
    void attribute_by_descent(const Processes& processes, Owners& owners) const;
    void attribute_adopted(const Processes& processes, Owners& owners);
    void note_late(const ProcessStat& process);
    std::optional<TreeId> only_candidate(const ProcessStat& process) const;
    void remember(const Processes& processes, const Owners& owners);

    std::optional<TreeId> known_owner(const ProcessStat& process) const;
    bool is_tagged_for(pid_t pid, TreeId& id) const;
    bool is_known(const ProcessKey& key) const;
    bool take_newcomers(std::unordered_set<pid_t>& dead);
    void signal_main(const Tree& tree, int signal, std::optional<uid_t> sender = std::nullopt) const;
    void signal_members(Tree& tree, int signal, int max_passes, bool resume,
                        std::optional<uid_t> sender = std::nullopt);

    std::string socket_path_;
    std::string reason_;  // why this and not cgroups; empty: it was asked for
    std::map<TreeId, Tree> trees_;
    std::unordered_map<pid_t, std::uint64_t> untagged_;  // looked at: not of this instance by environment
    std::vector<ProcessKey> strays_;                     // of the last sweep
    // Adopted ones that were dead when first looked at, until they are reaped. Each is the sign of a member
    // that a sweep came too late for, and that may have left another behind.
    std::unordered_map<pid_t, std::uint64_t> dead_;
    bool unsettled_ = false;  // the last sweep came too late for somebody of whom nobody knows whose it was
    std::uint64_t sweeps_ = 0;
    std::chrono::steady_clock::duration sweep_took_{};
    std::chrono::steady_clock::time_point last_sweep_;
};

Result<std::unique_ptr<Containment>> make_subreaper_containment(const ContainmentConfig& config,
                                                                const std::string& reason);

}  // namespace procd::sys
