#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "daemon/core/types.hpp"

namespace procd::core {

enum class OwnerKind { connection, session, process, pid, procd };

// Which owner. number: the connection, session or process; for pid the number of the watch that the loop
// keeps on it (a pid alone may be used again); for procd the user, since each user's processes are counted by
// themselves.
struct OwnerKey {
    OwnerKind kind = OwnerKind::procd;
    std::uint64_t number = 0;
    auto operator<=>(const OwnerKey&) const = default;
};

// How an owner is shown: "bash[4100]", "session s7".
struct OwnerFacts {
    std::int64_t pid = 0;  // 0: none
    std::string comm;
    // Of that pid, for whom it alone says who the owner is: another may have it by now. 0: it does not.
    std::uint64_t start_time = 0;
};

// An owner that is in use: it owns processes, counts their names, or is a session's lease.
struct Owner {
    OwnerKey key;
    UserId uid = 0;
    OwnerFacts facts;
    bool ending = false;  // a session that ended politely: no new processes, its non-daemons are waited for
    bool ended = false;   // gone; the entry stays while records of it do
    std::uint64_t constructions = 0;  // every one counts, named and failed ones too
    std::set<ProcessId> processes;
    std::size_t unfinished = 0;  // of them, those that have not exited
    // A pid without any process: its place among those that are remembered all the same.
    std::optional<std::uint64_t> resting;
};

// A lease held by a connection.
struct Session {
    SessionId id = 0;
    ConnectionId holder = 0;
    UserId uid = 0;
    std::string name;
    ResourcePtr out, err;  // the streams of its processes; null: a log each

    // About what it costs in memory.
    static std::size_t bytes_for(const std::string& name) { return 512 + name.size(); }
};

std::string session_text(SessionId id);
// "procd", "session s7", "process 3", "connection of bash[4100]", "bash[4100]".
std::string describe(const OwnerKey& key, const OwnerFacts& facts);

}  // namespace procd::core
