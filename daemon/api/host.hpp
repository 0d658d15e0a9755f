#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/core/actions.hpp"
#include "daemon/core/launch_spec.hpp"
#include "daemon/core/owner.hpp"
#include "daemon/core/types.hpp"

// What a request may ask of the machine and of the loop. The loop implements it; tests fake it. A look-up
// that failed for want of descriptors or memory is refused (limit): it must not be taken for what it did not
// find.
namespace procd::api {

// procd itself, for `hello`.
struct Self {
    std::string version;
    std::int64_t pid = 0;
    std::uint32_t uid = 0;
    std::string boot_id;
    std::string containment;  // one plain sentence
};

// A process watched by pidfd: `number` is that of the watch (core::OwnerKey).
struct Watched {
    std::uint64_t number = 0;
    core::OwnerFacts facts;
    std::uint32_t uid = 0;  // its real uid
};

// A log that somebody reads; the number is that of the reading, never used again.
using LogId = std::uint64_t;
// A byte of a log; those of another generation are gone.
struct LogPlace {
    std::uint64_t generation = 0, offset = 0;
};
struct LogRequest {
    std::string path;
    core::UserId uid = 0;  // whose file it must be
    std::optional<std::uint64_t> lines;
    bool follow = false;
    bool locate = false;  // only find out which file it is
    core::UserId reader = 0;
    std::optional<LogPlace> from{};  // instead of `lines`: where it goes on (LogChunk::next)
};
struct LogThreads {
    std::size_t of_reader = 0, of_all = 0;
};
struct LogChunk {
    std::string bytes;
    std::uint64_t dropped = 0;  // bytes before them that were gone before they could be read
    bool truncated = false;
    LogPlace next{};  // behind them
};
// How a reading ended.
struct LogReport {
    std::string problem;  // why the log cannot be read; empty: it was
    int error = 0;        // the errno of that
    std::vector<std::string> remarks;
    std::uint64_t device = 0, inode = 0;
};

// Who asked for it.
struct UpgradeRequest {
    core::ConnectionId connection = 0;  // 0: a signal
    std::optional<std::string> id;      // of the request; none: nobody is answered
};

// Why it came to nothing.
struct UpgradeFailure {
    std::string message;
    int error = 0;            // errno, where a system call said no
    bool of_program = false;  // the program named is not one that can go on
};

class Host {
  public:
    virtual ~Host() = default;

    virtual core::Now now() const = 0;
    virtual const Self& self() const = 0;

    // ---- the peer of a connection, by kernel facts ----
    virtual core::OwnerFacts peer(core::ConnectionId connection) = 0;
    // The managed process that it runs in: its cgroup, else its ancestry.
    virtual core::Outcome<std::optional<core::ProcessId>> enclosing(core::ConnectionId connection) = 0;
    // The session whose holder it descends from.
    virtual core::Outcome<std::optional<core::SessionId>> session_around(core::ConnectionId connection) = 0;
    // From now on OwnerEnded is told when the peer ends, whoever else holds its socket. False: it has ended.
    virtual core::Outcome<bool> watch_peer(core::ConnectionId connection) = 0;
    // Who a child of this connection is. Refused (not_permitted) where procd may not start anything for it.
    virtual core::Outcome<core::Identity> identity(core::ConnectionId connection) = 0;
    virtual core::Outcome<std::vector<core::ResourceLimit>> limits(core::ConnectionId connection) = 0;

    // ---- others ----
    // The command name of a living process.
    virtual std::string comm(std::int64_t pid) = 0;
    // A user by name or number, with its groups.
    virtual std::optional<core::Identity> user(const std::string& name) = 0;
    // From now on OwnerEnded is told when it ends. None: there is no such process (any more).
    virtual core::Outcome<std::optional<Watched>> watch_pid(std::int64_t pid) = 0;
    virtual core::Outcome<std::optional<Watched>> watch_pidfd(const core::ResourcePtr& pidfd) = 0;
    virtual core::Outcome<bool> is_pidfd(const core::ResourcePtr& descriptor) const = 0;
    // Looks whether the main has ended this very moment, and tells MainExited if so: whoever saw its sentinel
    // readable finds the exit code.
    virtual void refresh(core::ProcessId process) = 0;
    // Nothing belongs to a watched process (any more): its end need not be told. forget: nor is it known to
    // the core any more.
    virtual void rest_watch(std::uint64_t number, bool forget) = 0;
    // Whether kill(2) would let this user signal the process's main, as that runs now. True where there is
    // none.
    virtual core::Outcome<bool> may_signal(core::ProcessId process, core::UserId uid) = 0;
    // Whether the peer is, or descends from, a child that is being started.
    virtual core::Outcome<bool> runs_in_launch(core::ConnectionId connection) = 0;
    // A descriptor that is readable once the process's main has ended, and stays so; for this connection.
    virtual core::Outcome<core::ResourcePtr> sentinel(core::ConnectionId connection,
                                                      core::ProcessId process) = 0;

    // ---- answers ----
    virtual void send(core::ConnectionId connection, std::string line,
                      core::ResourcePtr descriptor = nullptr) = 0;
    // An event line. False where the reader is too slow for it: nothing was queued.
    virtual bool send_event(core::ConnectionId connection, const std::string& line) = 0;
    // Reads a log beside everything else: Api::log_chunk is called as the connection takes it, then
    // Api::log_end, both later and not from inside of this. False: no thread is to be had.
    virtual bool read_log(LogId log, core::ConnectionId connection, LogRequest request) = 0;
    // The threads that read logs. One whose log nobody reads any more lives until it is out of its system
    // call, which may be never (a dead NFS).
    virtual LogThreads log_threads(core::UserId reader) const = 0;
    // Nobody writes to it any more: what is there now is all.
    virtual void log_completed(LogId log) = 0;
    // Nobody reads it any more: Api is not called again.
    virtual void forget_log(LogId log) = 0;
    // Begins to replace this program by another (empty: its own file as it is now). Refused where that cannot
    // be now; what comes to nothing later, Api::upgrade_failed tells.
    virtual core::Outcome<core::Done> upgrade(const std::string& binary, const UpgradeRequest& request) = 0;
    // A request that was put off can be offered again.
    virtual void resume(core::ConnectionId connection) = 0;
    virtual void perform(core::Actions actions) = 0;
    virtual void log(const std::string& text) = 0;
};

}  // namespace procd::api
