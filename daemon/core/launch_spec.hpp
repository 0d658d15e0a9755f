#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "daemon/core/types.hpp"

namespace procd::core {

// Where a standard stream of the child goes.
struct ToNull {};
struct ToLog {};     // the process's log
struct ToStdout {};  // stderr: wherever stdout goes
struct ToOwnLog {};  // stderr: a log of its own
struct ToDescriptor {
    ResourcePtr descriptor;
};
struct ToFile {
    std::string path;  // relative to the child's cwd, opened as its user
    bool append = false;
};
struct ToOwners {};  // what the owning process has there now; where that cannot be had, ToLog
using StreamTarget = std::variant<ToNull, ToLog, ToStdout, ToOwnLog, ToDescriptor, ToFile, ToOwners>;

// How output that goes to a log gets there, and how much of it is kept. None: procd's default.
enum class LogVia { file, pipe, journal };
struct LogSpec {
    LogVia via = LogVia::file;  // file: the child writes it itself; pipe: procd copies
    std::optional<std::uint64_t> max;
    std::optional<unsigned> keep;
    bool retain = false;  // the files outlive the record
};

struct ResourceLimit {
    std::string name;  // of setrlimit(2), lower case, without RLIMIT_
    std::uint64_t soft = 0, hard = 0;
    bool inherited = true;  // the caller's own: where procd may not go that high, as high as it may
};

// Who the child is to be: the caller, by kernel facts, or the user that root named. Only a procd of root's
// becomes it.
struct Identity {
    std::uint32_t uid = 0, gid = 0;
    std::vector<std::uint32_t> groups;
    bool no_new_privs = false;
};

// What a process is started with. Dropped when it has been.
struct LaunchSpec {
    std::vector<std::string> command;
    std::optional<std::string> cwd;
    std::optional<std::vector<std::string>> env;  // "K=V"; none: the defaults of the user
    unsigned umask = 022;
    std::vector<ResourceLimit> limits;
    std::array<StreamTarget, 3> stdio{ToNull{}, ToLog{}, ToLog{}};
    std::array<std::optional<SessionId>, 3>
        streams_of;  // the session that gave a stream, and lends it to children
    LogSpec log;
    std::vector<ResourcePtr> descriptors;  // land at 3, 4, …
    ResourcePtr terminal;                  // controls its session; none: nothing does
    // It was given descriptors, and they ended with the procd that held them: it cannot be started any more.
    bool lost_descriptors = false;
    Identity identity;
};

}  // namespace procd::core
