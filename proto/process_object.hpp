#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/types.hpp"

namespace procd::proto {

struct OwnerObject {
    static constexpr bool k_nulls = true;
    OwnerKind kind = OwnerKind::procd;
    std::optional<std::int64_t> process;
    std::optional<std::string> session;
    std::optional<std::int64_t> pid;
    std::optional<std::string> comm;
    std::optional<std::string> was;

    static void fields(auto& self, auto&& field) {
        field("kind", self.kind, "connection, session, process, pid or procd");
        field("process", self.process, "id of the owning process, for kind process");
        field("session", self.session, "the session, for kind session");
        field("pid", self.pid,
              "pid of the owner: the peer, the session's client, the process, the watched pid");
        field("comm", self.comm, "the owner's command name, as it was when it became an owner");
        field("was", self.was, "who owned it before procd took it over, in words");
    }
};

struct ResultObject {
    static constexpr bool k_nulls = true;
    How how = How::exited;
    std::optional<std::int64_t> code;
    std::optional<std::int64_t> signal;
    bool core = false;
    Cause cause = Cause::self;
    std::int64_t leftovers = 0;

    static void fields(auto& self, auto&& field) {
        field("how", self.how, "exited, signaled, exec_failed or lost");
        field("code", self.code, "the exit code, where it exited (127 or 126 for exec_failed)");
        field("signal", self.signal, "the number of the signal that ended it, where one did");
        field("core", self.core, "whether it dumped core");
        field("cause", self.cause, "who wanted the end: self, client, owner, shutdown or limit");
        field("leftovers", self.leftovers, "how many processes it left behind, which procd ended");
    }
};

struct ProcessObject {
    static constexpr bool k_nulls = true;
    std::int64_t id = 0;
    std::string name;
    std::optional<std::int64_t> pid;
    bool daemon = false;
    OwnerObject owner;
    State state = State::initial;
    bool alive = false;
    std::optional<std::int64_t> exitcode;
    std::optional<ResultObject> result;
    std::int64_t uid = 0;
    std::string fate;
    std::vector<Bytes> command;
    Bytes cwd;
    std::string created;
    std::optional<std::string> started;
    std::optional<std::string> ended;
    std::optional<double> uptime;
    std::optional<Bytes> log;
    std::optional<Bytes> log_stderr;

    static void fields(auto& self, auto&& field) {
        field("id", self.id, "never used again");
        field("name", self.name, "not unique, settable at any time");
        field("pid", self.pid, "null before start, kept after the end");
        field("daemon", self.daemon, "ended with its owner, however that ends");
        field("owner", self.owner, "whose end decides its fate");
        field("state", self.state, "initial, running, stopping (until its whole tree is gone) or exited");
        field("alive", self.alive, "true from start until its main process was reaped");
        field("exitcode", self.exitcode, "N for exit(N), -N for signal N, null while there is none");
        field("result", self.result, "how it ended, null before");
        field("uid", self.uid, "the user it belongs to");
        field("fate", self.fate, "in words: what will end it, or what did");
        field("command", self.command, "the program and its arguments");
        field("cwd", self.cwd, "the working directory it was started in");
        field("created", self.created, "RFC 3339, microseconds, UTC");
        field("started", self.started, "likewise; null before start");
        field("ended", self.ended, "likewise; when its main process was reaped");
        field("uptime", self.uptime, "seconds from start to now, or to its end");
        field("log", self.log, "path of its log file, null where it writes none");
        field("log_stderr", self.log_stderr, "likewise, where stderr has one of its own");
    }
};

// The names of ProcessObject's members, in order.
const std::vector<std::string>& process_field_names();

// A process object, or the part of it that a `fields` parameter selects.
struct ProcessView {
    ProcessObject process;
    std::shared_ptr<const std::vector<std::string>> only;  // null: all

    static ProcessView from_json(const Json& json, const Path& path);
    OrderedJson to_json() const;
    static OrderedJson schema();
};

}  // namespace procd::proto
