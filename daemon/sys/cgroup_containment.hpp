#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/sys/adopted.hpp"
#include "daemon/sys/cgroup_instance.hpp"
#include "daemon/sys/cgroupfs.hpp"
#include "daemon/sys/containment.hpp"

namespace procd::sys {

// A cgroup a tree, all of them below one group of this instance: <own>/procd-<digits>/<id>-<name>. A process
// is born in its tree's group and everything it starts stays there, whatever it does to its session,
// environment or parentage. Only somebody with rights on the hierarchy can move a process out (a login
// manager does); who was moved is found among what procd adopts, by session, by environment and by parentage.
class CgroupContainment : public Containment {
  public:
    // base: the group to make the instance's group in.
    static Result<std::unique_ptr<Containment>> make(const CgroupPlace& base, const std::string& socket_path,
                                                     const std::string& former_place);
    ~CgroupContainment() override;

    std::string kind() const override { return "cgroup"; }
    std::string description() const override;
    Result<UniqueFd> open_group(TreeId id, const std::string& name) override;
    void born(TreeId id, const TreeMain& main) override;
    void main_reaped(TreeId id) override;
    void signal_tree(TreeId id, int signal, bool main_only, bool resume,
                     std::optional<uid_t> sender) override;
    void kill_tree(TreeId id) override;
    std::size_t count_rest(TreeId id) override;
    UniqueFd empty_watch(TreeId id) override;
    void remove(TreeId id) override;
    std::vector<TreeId> left_trees() override;
    void take_back(TreeId id, const TreeMain& main, const std::vector<ProcessKey>& members) override;
    std::vector<ProcessKey> known_members(TreeId id) const override;
    FoundMain find_main(TreeId id, uid_t uid) override;
    bool holds(TreeId id, pid_t pid, uid_t uid) override;
    std::string place() const override { return instance_.place.directory; }
    Result<std::optional<TreeId>> tree_of(pid_t pid) override;
    std::vector<pid_t> strays() override;
    std::size_t kill_strays() override;

  private:
    struct Tree {
        CgroupPlace place;
        TreeMain main;
        bool reaped = false;
        std::vector<ProcessKey> escaped;  // outside of the group, and known to be of this tree
    };

    CgroupContainment(InstanceGroup instance, std::string socket_path)
        : instance_(std::move(instance)), socket_path_(std::move(socket_path)) {}

    std::optional<TreeId> tree_of_group(const std::string& path) const;
    std::optional<TreeId> attribute(const ProcessStat& stat) const;
    std::optional<TreeId> tree_of_session(pid_t session) const;
    bool is_contained(pid_t pid) const;
    void refresh_adopted();
    std::vector<pid_t> others_in_group(const Tree& tree) const;
    void find_escaped(TreeId id, Tree& tree, const std::vector<pid_t>& members);
    bool signal_member(const Tree& tree, pid_t pid, int signal,
                       std::optional<uid_t> sender = std::nullopt) const;
    void signal_main(const Tree& tree, int signal, std::optional<uid_t> sender = std::nullopt) const;
    void remove_doomed();

    InstanceGroup instance_;
    std::map<TreeId, CgroupPlace> left_;  // groups of an earlier procd's that nobody has taken back yet
    std::string socket_path_;
    std::map<TreeId, Tree> trees_;
    std::unordered_map<pid_t, TreeId> by_main_;
    Adopted adopted_;
    std::vector<std::string> doomed_;  // groups that were not empty yet when they were to be removed
};

}  // namespace procd::sys
