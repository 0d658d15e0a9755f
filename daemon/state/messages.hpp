#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/life.hpp"
#include "daemon/core/owner.hpp"
#include "daemon/core/types.hpp"
#include "proto/codec.hpp"
#include "proto/types.hpp"

// The records of the state, each one field list (proto/codec.hpp). Times are nanoseconds: wall ones since
// 1970, mono ones and deadlines of CLOCK_MONOTONIC. start_time is field 22 of /proc/PID/stat.

namespace procd::state {
enum class StreamKind { null, log, as_stdout, separate, descriptor, file, owners };  // core::StreamTarget
}

namespace procd::proto {

template <>
struct EnumNames<core::Phase> {
    static constexpr std::array<std::string_view, 8> k_names{"initial", "starting", "running", "lingering",
                                                             "kept",    "ending",   "killing", "exited"};
};
template <>
struct EnumNames<core::OwnerKind> : EnumNames<OwnerKind> {};
template <>
struct EnumNames<core::KillMode> : EnumNames<KillMode> {};
template <>
struct EnumNames<core::How> : EnumNames<How> {};
template <>
struct EnumNames<core::Cause> : EnumNames<Cause> {};
template <>
struct EnumNames<core::LogVia> : EnumNames<LogVia> {};
template <>
struct EnumNames<core::WaitMode> : EnumNames<WaitMode> {};
template <>
struct EnumNames<state::StreamKind> {
    static constexpr std::array<std::string_view, 7> k_names{"null",       "log",  "stdout", "separate",
                                                             "descriptor", "file", "owners"};
};

}  // namespace procd::proto

namespace procd::state {

struct OwnerText {
    core::OwnerKind kind = core::OwnerKind::procd;
    std::optional<std::int64_t> number, pid;
    std::optional<std::string> comm;
    std::optional<std::int64_t> start_time;
    static void fields(auto& self, auto&& field) {
        field("kind", self.kind, "");
        field("number", self.number, "");
        field("pid", self.pid, "");
        field("comm", self.comm, "");
        field("start_time", self.start_time, "");
    }
};

struct LifeText {
    core::Phase phase = core::Phase::initial;
    std::optional<bool> main_alive, end_wanted, kill_wanted, linger_over, keep_leftovers;
    std::int64_t grace = 0;
    std::optional<std::int64_t> retry, deadline, leftovers;
    static void fields(auto& self, auto&& field) {
        field("phase", self.phase, "");
        field("main_alive", self.main_alive, "");
        field("end_wanted", self.end_wanted, "");
        field("kill_wanted", self.kill_wanted, "");
        field("linger_over", self.linger_over, "");
        field("keep_leftovers", self.keep_leftovers, "");
        field("grace", self.grace, "");
        field("retry", self.retry, "");
        field("deadline", self.deadline, "");
        field("leftovers", self.leftovers, "");
    }
};

struct EndingText {
    core::How how = core::How::exited;
    core::Cause cause = core::Cause::self;
    std::optional<std::int64_t> code, signal, leftovers;
    std::optional<bool> core;
    static void fields(auto& self, auto&& field) {
        field("how", self.how, "");
        field("cause", self.cause, "");
        field("code", self.code, "");
        field("signal", self.signal, "");
        field("core", self.core, "");
        field("leftovers", self.leftovers, "");
    }
};

struct StreamText {
    StreamKind to = StreamKind::null;
    std::optional<proto::Bytes> file;
    std::optional<bool> append;
    static void fields(auto& self, auto&& field) {
        field("to", self.to, "");
        field("file", self.file, "");
        field("append", self.append, "");
    }
};

struct LimitText {
    std::string name;
    std::int64_t soft = 0, hard = 0;  // -1: unlimited
    bool inherited = true;
    static void fields(auto& self, auto&& field) {
        field("name", self.name, "");
        field("soft", self.soft, "");
        field("hard", self.hard, "");
        field("inherited", self.inherited, "");
    }
};

struct SpecText {
    std::optional<proto::Bytes> cwd;
    std::optional<proto::Environment> env;
    proto::Umask umask;
    std::vector<LimitText> limits;
    std::vector<StreamText> stdio;
    std::optional<bool> descriptors;  // it was given some: they ended with the procd that held them
    std::uint32_t uid = 0, gid = 0;
    std::vector<std::uint32_t> groups;
    std::optional<bool> no_new_privs;
    static void fields(auto& self, auto&& field) {
        field("cwd", self.cwd, "");
        field("env", self.env, "");
        field("umask", self.umask, "");
        field("limits", self.limits, "");
        field("stdio", self.stdio, "");
        field("descriptors", self.descriptors, "");
        field("uid", self.uid, "");
        field("gid", self.gid, "");
        field("groups", self.groups, "");
        field("no_new_privs", self.no_new_privs, "");
    }
};

struct LogText {
    std::optional<core::LogVia> via;
    std::optional<std::int64_t> max;
    std::optional<std::uint32_t> keep;
    std::optional<bool> retain;
    static void fields(auto& self, auto&& field) {
        field("via", self.via, "");
        field("max", self.max, "");
        field("keep", self.keep, "");
        field("retain", self.retain, "");
    }
};

// A stream that a session lent.
struct LentText {
    std::int64_t stream = 0, session = 0;
    static void fields(auto& self, auto&& field) {
        field("stream", self.stream, "");
        field("session", self.session, "");
    }
};

struct ProcessText {
    std::int64_t id = 0;
    std::uint32_t uid = 0;
    std::string name, identity;
    std::optional<bool> daemon, unique;
    OwnerText owner;
    std::optional<std::string> was;
    LifeText life;
    std::optional<core::KillMode> kill_mode;
    std::vector<proto::Bytes> command;
    proto::Bytes cwd;
    std::optional<SpecText> spec;
    std::vector<LentText> streams_of;
    std::optional<std::int64_t> pid, start_time;
    std::optional<proto::Bytes> log, log_stderr;
    std::optional<LogText> log_spec;
    std::string output;
    std::int64_t created = 0;
    std::optional<std::int64_t> started, started_mono, ended, ended_mono;
    std::optional<EndingText> ending;
    std::optional<core::Cause> end_cause;
    std::vector<std::int32_t> signals_sent;
    std::optional<bool> spawn;
    static void fields(auto& self, auto&& field) {
        field("id", self.id, "");
        field("uid", self.uid, "");
        field("name", self.name, "");
        field("identity", self.identity, "");
        field("daemon", self.daemon, "");
        field("unique", self.unique, "");
        field("owner", self.owner, "");
        field("was", self.was, "");
        field("life", self.life, "");
        field("kill_mode", self.kill_mode, "");
        field("command", self.command, "");
        field("cwd", self.cwd, "");
        field("spec", self.spec, "");
        field("streams_of", self.streams_of, "");
        field("pid", self.pid, "");
        field("start_time", self.start_time, "");
        field("log", self.log, "");
        field("log_stderr", self.log_stderr, "");
        field("log_spec", self.log_spec, "");
        field("output", self.output, "");
        field("created", self.created, "");
        field("started", self.started, "");
        field("started_mono", self.started_mono, "");
        field("ended", self.ended, "");
        field("ended_mono", self.ended_mono, "");
        field("ending", self.ending, "");
        field("end_cause", self.end_cause, "");
        field("signals_sent", self.signals_sent, "");
        field("spawn", self.spawn, "");
    }
};

// An owner by whom processes are counted.
struct OwnerRecord {
    OwnerText owner;
    std::uint32_t uid = 0;
    std::optional<bool> ending, ended;
    std::int64_t constructions = 0;
    static void fields(auto& self, auto&& field) {
        field("owner", self.owner, "");
        field("uid", self.uid, "");
        field("ending", self.ending, "");
        field("ended", self.ended, "");
        field("constructions", self.constructions, "");
    }
};

}  // namespace procd::state
