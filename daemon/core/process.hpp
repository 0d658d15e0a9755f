#pragma once

#include <array>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "daemon/core/launch_spec.hpp"
#include "daemon/core/life.hpp"
#include "daemon/core/owner.hpp"
#include "daemon/core/pending_signals.hpp"
#include "daemon/core/types.hpp"

namespace procd::core {

// The record of one process, from its construction until it is closed or evicted.
struct Process {
    ProcessId id = 0;
    UserId uid = 0;
    std::string name;
    std::string identity;  // "2" or "1:1": the numbers of its default name, and the prefix of its children's
    bool daemon = false;
    bool unique = false;
    OwnerKey owner;
    OwnerFacts owner_facts;
    std::optional<std::string> was;  // the owner that procd took it over from
    Life life;
    KillMode kill_mode = KillMode::group;
    std::vector<std::string> command;
    std::string cwd;
    std::shared_ptr<const LaunchSpec> spec;              // until it was started, or could not be
    std::array<std::optional<SessionId>, 3> streams_of;  // whose streams it got
    std::int64_t pid = 0;                                // 0 before start
    std::uint64_t start_time = 0;  // of that pid (field 22 of /proc/PID/stat): another may have it by now
    std::optional<std::string> log, log_stderr;
    LogSpec log_spec;
    std::string output;  // where stdout and stderr go, in words
    Wall created;
    std::optional<Wall> started, ended;
    Mono started_mono, ended_mono;
    std::optional<Ending> ending;      // once the main was reaped, or the launch failed
    std::optional<Cause> end_cause;    // who asked for the end first
    std::set<int> signals_sent;        // by clients
    PendingSignals signals_pending;    // sent while it was starting
    std::size_t bytes = 0;             // what of it is in the ledger
    State announced = State::initial;  // the newest state that was published
    std::optional<Token> start_token;  // who waits for the start
    bool spawn = false;                // a failed start leaves no record
    std::set<Token> waiters;           // pending waits that name it; such a record is never evicted

    State state() const { return life.state(); }
    bool alive() const { return life.main_alive(); }
    bool exited() const { return life.phase() == Phase::exited; }
    bool started_or_starting() const { return life.phase() != Phase::initial; }
    // Python's: N for exit(N), -N for signal N.
    std::optional<int> exitcode() const;
};

}  // namespace procd::core
