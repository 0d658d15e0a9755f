#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <asio/io_context.hpp>

#include "daemon/core/actions.hpp"
#include "daemon/core/events.hpp"
#include "daemon/core/process.hpp"
#include "daemon/loop/alarm.hpp"
#include "daemon/loop/logs.hpp"
#include "daemon/loop/readiness.hpp"
#include "daemon/sys/containment.hpp"
#include "daemon/sys/spawner.hpp"

namespace procd::loop {

struct ChildrenConfig {
    std::string socket_path;     // the children's PROCD_SOCKET
    bool become_caller = false;  // procd runs as root: children become who asked for them
    bool stores_pidfds = false;  // there is a service manager to keep them
};

// Carries out what the core decides about processes, and tells it what became of them: launches, signals,
// exits, trees.
class Children {
  public:
    using Tell = std::function<void(core::Event)>;

    Children(asio::io_context& io, sys::Containment& containment, std::shared_ptr<Logs> logs,
             ChildrenConfig config, Tell tell);
    ~Children();

    void carry_out(const core::Launch& action);
    void carry_out(const core::AbandonLaunch& action);
    void carry_out(const core::SendSignal& action);
    void carry_out(const core::KillTree& action);
    void carry_out(const core::CountTree& action);
    void carry_out(const core::ReleaseTree& action);

    // ---- what an earlier procd started ----
    // Takes its process back. pidfd: one that was kept of it; empty: one is opened, if the process is still
    // the same; pipes: where its logs come by those. False: the main is gone, and nobody knows how it ended.
    struct Remains {
        UniqueFd pidfd;
        UniqueFd log_pipe, log_stderr_pipe;    // read ends
        std::vector<sys::ProcessKey> members;  // sys::Containment::known_members
        bool own = false;                      // this process's own child: it became another program
    };
    bool take_back(const core::Process& process, Remains remains);
    // What take_back() of another program in this process needs, the numbers of what stays open.
    struct Holdings {
        int pidfd = -1, log_pipe = -1, log_stderr_pipe = -1;
        std::vector<sys::ProcessKey> members;
        bool own = false;
    };
    Holdings holdings(const core::Process& process);
    // How far a start had come that was under way.
    struct Birth {
        bool was_born = false;  // as far as anything tells
        pid_t pid = 0;          // 0: it is gone
        std::uint64_t start_time = 0;
        std::optional<std::string> log, log_stderr;
    };
    Birth birth_of(const core::Process& process);
    // Removes what was made ready for one that was not born.
    void clear(core::ProcessId id, const Birth& birth);
    // Ends a tree that nobody knows any more.
    void end_unknown(core::ProcessId id);
    std::vector<core::ProcessId> left_trees() const { return containment_.left_trees(); }

    // Reaps the main if it has ended, and tells.
    void refresh(core::ProcessId id);
    // Readable once the main has ended.
    Result<UniqueFd> sentinel(core::ProcessId id);
    // A living main, or a child that is just being started.
    bool is_main(pid_t pid) const;
    // The pids of children that are cloned and not told as launched yet.
    std::vector<pid_t> launching() const;

    // For who starts what is no managed process.
    sys::Spawner& spawner() { return *spawner_; }

    struct Launching;  // launch_plan.hpp

  private:
    struct Child;
    void launched(core::ProcessId id, std::shared_ptr<Launching> launching, sys::Spawned spawned);
    void not_launched(core::ProcessId id, const std::shared_ptr<Launching>& launching,
                      const sys::SpawnError& error);
    void await_exit(core::ProcessId id);
    void store(core::ProcessId id);
    void main_ended(core::ProcessId id, Child& child, const core::Exit& exit);
    void count(core::ProcessId id);
    void count_all();
    void count_later(core::ProcessId id);
    bool drain_pipes(core::ProcessId id, Child& child);
    void watch_tree(core::ProcessId id);
    core::ResourcePtr stream_of_owner(const core::OwnerKey& owner, int stream);

    asio::io_context& io_;
    sys::Containment& containment_;
    std::shared_ptr<Logs> logs_;  // a start that hangs may outlive this
    ChildrenConfig config_;
    Tell tell_;
    std::map<core::ProcessId, std::unique_ptr<Child>> children_;
    std::unordered_set<pid_t> mains_;
    std::unordered_set<core::ProcessId> launching_;
    std::vector<core::ProcessId> to_count_;
    bool counting_ = false;  // it is posted
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
    std::unique_ptr<sys::Spawner> spawner_;
};

}  // namespace procd::loop
