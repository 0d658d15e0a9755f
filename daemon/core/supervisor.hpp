#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "daemon/core/actions.hpp"
#include "daemon/core/events.hpp"
#include "daemon/core/frozen.hpp"
#include "daemon/core/ledger.hpp"
#include "daemon/core/owner.hpp"
#include "daemon/core/process.hpp"
#include "daemon/core/retention.hpp"
#include "daemon/core/saved.hpp"
#include "daemon/core/selector.hpp"
#include "daemon/core/timers.hpp"
#include "daemon/core/types.hpp"
#include "daemon/core/waits.hpp"

// All processes of one procd: their owners, names, fates and ends. Decides; never acts. What happens comes in
// by handle() and by the requests; what is to be done goes out as Actions, what clients are to be told goes
// to the Listener at the moment it is true.
namespace procd::core {

struct Config {
    Duration grace = std::chrono::seconds(10);
    Duration drain = std::chrono::seconds(10);
    std::size_t retained = 1000;  // ended records kept of each user
    // Bounds of each user but root and procd's own; `limit` when reached.
    std::size_t max_processes = 4096;
    std::size_t max_waits = 8192;
    // Of the memory for records, sessions and pending requests. From half of it on, ended records go as soon
    // as nobody's lease keeps them.
    std::size_t max_record_bytes = std::size_t{64} << 20;
    UserId own_uid = 0;
};

// Pids that own nothing any more and are remembered all the same, for the numbers of their default names: the
// newest.
constexpr std::size_t k_most_resting_owners = 1024;

class Listener {
  public:
    virtual ~Listener() = default;
    virtual void on_change(EventType type, const Process& process) = 0;
    // A start or spawn is decided. failure: null when it runs.
    virtual void on_started(Token token, const Process& process, const LaunchFailure* failure) = 0;
    // A wait is over; `ended` in the order they were named.
    virtual void on_waited(Token token, const std::vector<const Process*>& ended, bool timed_out) = 0;
};

// Whose fate: the owner that a creation names, already looked up.
struct OwnerChoice {
    OwnerKey key;
    OwnerFacts facts;
};

struct Creation {
    std::shared_ptr<const LaunchSpec> spec;
    std::string name;  // empty: the default
    std::optional<bool> daemon;
    OwnerChoice owner;
    UserId uid = 0;  // whose it is
    std::optional<Duration> grace;
    KillMode kill_mode = KillMode::group;
    bool keep_leftovers = false;
    bool unique = false;
};

class Supervisor {
  public:
    Supervisor(Config config, Listener& listener)
        : config_(config), listener_(listener), retention_(config.retained) {}

    // ---- the world ----
    Actions handle(const Event& event, Now now);
    // When a Tick is due.
    std::optional<Mono> next_deadline() const { return timers_.next(); }
    bool stopping() const { return stop_ != Stop::no; }

    // ---- from one procd to the next ----
    // First of all: what the one before knew. Connections and sessions were its own: they have vanished.
    // Whether its processes live yet, the events are to say: LaunchSucceeded or LaunchFailed where one was
    // being started, MainExited where the main has ended.
    Actions restore(Saved saved, Now now);
    // The same for another program in this process: nothing has vanished. Not while a start is under way, nor
    // when procd is stopping.
    Frozen freeze() const;
    Actions thaw(Frozen frozen, Now now);
    bool has_changes() const { return !changes_.empty(); }
    Changes take_changes() { return std::exchange(changes_, {}); }
    ProcessId next_id() const { return next_id_; }
    SessionId next_session() const { return next_session_; }

    // ---- requests: all or nothing; what is to be done is appended to `actions` ----
    Outcome<ProcessId> create(const Caller& caller, Creation creation, Now now);
    // Answered by on_started.
    Outcome<Done> start(const Caller& caller, ProcessId id, Token token, Now now, Actions& actions);
    // create + start; when the start fails no record stays.
    Outcome<ProcessId> spawn(const Caller& caller, Creation creation, Token token, Now now, Actions& actions);
    Outcome<Done> rename(ProcessId id, const std::string& name);
    Outcome<Done> set_daemon(const Caller& caller, ProcessId id, bool daemon);
    Outcome<Done> set_owner(const Caller& caller, ProcessId id, const OwnerChoice& owner, Actions& actions);
    // Whether set_daemon would be refused; so that a request with both does all or nothing.
    std::optional<Refusal> daemon_problem(const Caller& caller, ProcessId id, bool daemon) const;
    std::optional<Refusal> owner_problem(const Caller& caller, const OwnerKey& owner) const;
    // Answered by on_waited, at once where that is decided already.
    Outcome<Done> wait(const Caller& caller, const std::vector<ProcessId>& ids, WaitMode mode,
                       std::optional<Duration> timeout, Token token, Now now, Actions& actions);
    // Why a wait would be refused (so that terminate + wait does all or nothing).
    std::optional<Refusal> wait_problem(const Caller& caller, const std::vector<ProcessId>& ids,
                                        WaitMode mode) const;
    Outcome<Done> terminate(const std::vector<ProcessId>& ids, std::optional<Duration> grace, Now now,
                            Actions& actions);
    Outcome<Done> kill(const std::vector<ProcessId>& ids, Now now, Actions& actions);
    Outcome<Done> signal(const std::vector<ProcessId>& ids, const ClientSignal& signal, Actions& actions);
    Outcome<Done> close(const std::vector<ProcessId>& ids, Actions& actions);
    // Memory that somebody else keeps for a user, under the same bound (max_record_bytes).
    Outcome<Done> charge(UserId uid, std::size_t bytes);
    void release(UserId uid, std::size_t bytes) { ledger_.remove(uid, bytes); }
    // A lease that ends with the caller's connection. out, err: the streams of its processes; null: a log
    // each.
    Outcome<SessionId> open_session(const Caller& caller, std::string name, OwnerFacts holder,
                                    ResourcePtr out, ResourcePtr err);
    // Its daemons are ended, its living non-daemons are returned.
    Outcome<std::vector<ProcessId>> end_session(const Caller& caller, SessionId id, Now now,
                                                Actions& actions);
    // wait: non-daemons are waited for without limit. now: nobody is.
    Outcome<Done> shutdown(bool wait, bool at_once, Now now, Actions& actions);

    // ---- looking ----
    const Process* find(ProcessId id) const;
    const std::map<ProcessId, Process>& processes() const { return processes_; }
    const Session* find_session(SessionId id) const;
    bool has_sessions() const { return !sessions_.empty(); }
    const std::set<SessionId>& sessions_held_by(ConnectionId connection) const;
    // How many launches are under way.
    std::size_t starting() const { return starting_; }
    // How many have been started and have not exited.
    std::size_t active() const { return active_; }
    // Whether something that has not exited belongs to this owner.
    bool has_unfinished(const OwnerKey& key) const;
    const std::set<ProcessId>* owned_by(const OwnerKey& key) const;
    const Owner* find_owner(const OwnerKey& key) const;
    const std::map<OwnerKey, Owner>& owners() const { return owners_; }
    const std::set<ProcessId>* named(const std::string& name) const;
    std::string fate(const Process& process) const;

  private:
    enum class Stop { no, draining, ending, killing };

    // supervisor_requests.cpp
    std::optional<Refusal> creation_problem(const Caller& caller, const Creation& creation) const;
    Process& construct(const Caller& caller, Creation creation, Now now);
    void launch(Process& process, Token token, bool spawn, Now now, Actions& actions);
    bool name_taken(const OwnerKey& owner, const std::string& name, ProcessId except) const;
    bool unlimited(UserId uid) const { return uid == 0 || uid == config_.own_uid; }
    std::optional<Refusal> memory_problem(UserId uid, std::size_t bytes) const;
    void recharge(Process& process);
    void answer_wait(Token token, bool timed_out, Actions& actions);
    Process* record(ProcessId id);            // that a pending wait names: kept or closed
    UserId unpin(ProcessId id, Token token);  // whose it is

    // supervisor_restore.cpp
    void put_back(Saved saved);
    void put_back(Process process);
    void put_back(const Frozen::PendingWait& pending);
    void go_on(Now now, bool again, Actions& actions);
    void settle_restored(Actions& actions);
    void vanish(Now now, Actions& actions);

    // supervisor_life.cpp
    void on(const LaunchSucceeded& event, Now now, Actions& actions);
    void on(const LaunchFailed& event, Now now, Actions& actions);
    void on(const MainExited& event, Now now, Actions& actions);
    void on(const TreeCounted& event, Now now, Actions& actions);
    void on(const OwnerEnded& event, Now now, Actions& actions);
    void on(const ConnectionClosed& event, Now now, Actions& actions);
    void on(const StopSignal& event, Now now, Actions& actions);
    void on(const Tick& event, Now now, Actions& actions);
    Process* lookup(ProcessId id);
    void carry_out(Process& process, const Steps& steps, Actions& actions);
    void announce(Process& process);
    void end(Process& process, Cause cause, bool by_kill, std::optional<Duration> grace, Now now,
             Actions& actions);
    void settle(Process& process, Actions& actions);
    void retain(Process& process, Actions& actions);
    void evict(UserId uid, Actions& actions);
    void remove(ProcessId id, Actions& actions);

    // supervisor_owners.cpp
    Owner& owner_entry(const OwnerKey& key, UserId uid, const OwnerFacts& facts);
    bool owner_takes_more(const OwnerKey& key) const;
    bool owner_gone(const OwnerKey& key) const;
    void owner_ended(const OwnerKey& key, bool polite, Now now, Actions& actions);
    void move_to(Process& process, const OwnerKey& key, const OwnerFacts& facts, Actions& actions);
    void finished_one(const OwnerKey& key, Actions& actions);  // an unfinished process less
    void take_in(Owner& owner, ProcessId id);
    void drop_if_idle(const OwnerKey& key, Actions& actions);
    void forget_owner(std::map<OwnerKey, Owner>::iterator entry);
    void end_sessions_of(ConnectionId connection, Now now, Actions& actions);
    void stop(Stop level, Now now, Actions& actions);
    void leave_if_done(Actions& actions);

    Config config_;
    Listener& listener_;
    std::map<ProcessId, Process> processes_;
    std::map<ProcessId, Process> closed_;  // records that only pending waits still name
    std::unordered_map<std::string, std::set<ProcessId>> by_name_;
    std::map<OwnerKey, Owner> owners_;
    std::map<SessionId, Session> sessions_;
    std::map<ConnectionId, std::set<SessionId>> sessions_held_by_;
    std::map<std::uint64_t, OwnerKey> resting_;  // pids that own no process, the longest first
    std::uint64_t next_resting_ = 1;
    std::map<UserId, std::size_t> unfinished_;  // records that have not exited, by user
    std::size_t starting_ = 0;                  // launches under way
    std::size_t active_ = 0;                    // started and not exited
    Waits waits_;
    Timers timers_;
    Retention retention_;
    Ledger ledger_;
    Changes changes_;
    ProcessId next_id_ = 1;
    SessionId next_session_ = 1;
    Stop stop_ = Stop::no;
    bool left_ = false;
};

}  // namespace procd::core
