#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "proto/process_object.hpp"
#include "proto/types.hpp"

// Every message of the protocol: one struct a set of parameters or results, with one field list. The only
// place that spells their names. A method is a struct that ties name, Params and Result together; `Methods`
// lists them all.
namespace procd::proto {

struct Nothing {
    static void fields(auto&, auto&&) {}
};

struct HelloResult {
    std::string server = "procd";
    std::string version;
    std::int64_t protocol = 1;
    std::int64_t pid = 0;
    std::int64_t uid = 0;
    std::string boot_id;
    std::string containment;
    std::vector<std::string> capabilities;

    static void fields(auto& self, auto&& field) {
        field("server", self.server, "always \"procd\"");
        field("version", self.version, "of the program");
        field("protocol", self.protocol, "1");
        field("pid", self.pid, "procd's own");
        field("uid", self.uid, "the user that procd runs as");
        field("boot_id", self.boot_id, "of this boot of the machine; pids of another boot mean nothing");
        field("containment", self.containment, "what keeps process trees together here, in plain words");
        field("capabilities", self.capabilities, "the methods that this procd answers");
    }
};

struct WhoamiResult {
    static constexpr bool k_nulls = true;
    std::optional<ProcessObject> process;
    std::optional<std::string> session;

    static void fields(auto& self, auto&& field) {
        field("process", self.process, "the managed process that the client runs in, or null");
        field("session", self.session, "the session that the client runs in, or null");
    }
};

struct Stdio {
    std::optional<StdioTarget> in, out, err;

    static void fields(auto& self, auto&& field) {
        field("stdin", self.in, "default \"null\"");
        field("stdout", self.out, "default: its session's, its owning process's, else \"log\"");
        field("stderr", self.err, "likewise");
    }
};

struct LogParams {
    std::optional<LogVia> via;
    std::optional<ByteCount> max;
    std::optional<PieceCount> keep;
    std::optional<bool> retain;

    static void fields(auto& self, auto&& field) {
        field("via", self.via,
              "file (default): the process writes it itself; pipe: procd copies; journal: the system's "
              "journal");
        field("max", self.max, "bytes after which the head is cut off; 0: never; default procd's --log-max");
        field("keep", self.keep, "how many pieces that were cut off are kept; default procd's --log-keep");
        field("retain", self.retain, "the files stay when the process is forgotten");
    }
};

struct CreateParams {
    std::vector<Bytes> command;
    std::optional<std::string> name;
    std::optional<bool> daemon;
    std::optional<OwnerRef> owner;
    std::optional<Bytes> cwd;
    std::optional<Environment> env;
    std::optional<Umask> umask;
    std::optional<ResourceLimits> rlimits;
    std::optional<Stdio> stdio;
    std::optional<LogParams> log;
    std::optional<std::vector<std::int64_t>> fds;
    std::optional<std::int64_t> terminal;
    std::optional<std::string> user;
    std::optional<Seconds> grace;
    std::optional<KillMode> kill_mode;
    std::optional<Leftovers> leftovers;
    std::optional<bool> unique;

    static void fields(auto& self, auto&& field) {
        field("command", self.command,
              "the program and its arguments; without a slash it is searched in PATH");
        field("name", self.name,
              "1 to 255 bytes of UTF-8, no control characters, not all digits; else Process-N");
        field("daemon", self.daemon,
              "ended with its owner; default: that of the enclosing process, else false");
        field("owner", self.owner, "whose end decides its fate; default \"connection\"");
        field("cwd", self.cwd, "working directory, absolute; default /");
        field("env", self.env, "the whole environment; default PATH, HOME, USER, LOGNAME, SHELL of the user");
        field("umask", self.umask, "default \"022\"");
        field("rlimits", self.rlimits, "resource limits by name; default the caller's");
        field("stdio", self.stdio, "where its standard streams go");
        field("log", self.log, "how its output is logged; streams that are not named go to the log then");
        field("fds", self.fds, "indices of descriptors that land at 3, 4, … in the child");
        field("terminal", self.terminal,
              "index of a descriptor of a terminal, which becomes its controlling terminal; default: none");
        field("user", self.user, "the user to run as, by name or uid; root's");
        field("grace", self.grace, "seconds between SIGTERM and SIGKILL; default 10 or procd's --grace");
        field("kill_mode", self.kill_mode,
              "who gets the SIGTERM: the whole group (default) or the main alone");
        field("leftovers", self.leftovers,
              "what becomes of processes it leaves behind: end (default) or keep");
        field("unique", self.unique, "refuse while a live process of the same owner has the name");
    }
};

struct OneProcess {
    Selector process;
    static void fields(auto& self, auto&& field) { field("process", self.process, "which process"); }
};

struct ManyProcesses {
    std::vector<Selector> processes;
    static void fields(auto& self, auto&& field) { field("processes", self.processes, "which processes"); }
};

struct ProcessesResult {
    std::vector<ProcessObject> processes;
    static void fields(auto& self, auto&& field) {
        field("processes", self.processes, "in the order they were named");
    }
};

struct ListParams {
    std::optional<std::string> name;
    std::optional<OwnerRef> owner;
    std::optional<bool> daemon;
    std::optional<bool> alive;
    std::optional<std::vector<std::string>> fields_wanted;

    static void fields(auto& self, auto&& field) {
        field("name", self.name, "only names that match this glob (*, ?, [a-z])");
        field("owner", self.owner, "only those of this owner");
        field("daemon", self.daemon, "only (no) daemons");
        field("alive", self.alive, "only the living, or only the others");
        field("fields", self.fields_wanted, "only these members of each process object");
    }
};

struct ListResult {
    std::vector<ProcessView> processes;
    std::int64_t seq = 0;

    static void fields(auto& self, auto&& field) {
        field("processes", self.processes, "by id");
        field("seq", self.seq, "number of the newest event that this includes");
    }
};

struct RenameParams {
    Selector process;
    std::string name;

    static void fields(auto& self, auto&& field) {
        field("process", self.process, "which process");
        field("name", self.name, "its new name; the child keeps the PROCD_NAME it started with");
    }
};

struct SetParams {
    Selector process;
    std::optional<bool> daemon;
    std::optional<OwnerRef> owner;

    static void fields(auto& self, auto&& field) {
        field("process", self.process, "which process");
        field("daemon", self.daemon, "before start only");
        field("owner", self.owner, "its new owner, at any time");
    }
};

struct WaitParams {
    std::vector<Selector> processes;
    std::optional<WaitMode> mode;
    std::optional<Seconds> timeout;

    static void fields(auto& self, auto&& field) {
        field("processes", self.processes, "which processes; not empty");
        field("mode", self.mode, "all (default) or any");
        field("timeout", self.timeout, "seconds; 0 polls; default: for ever");
    }
};

struct WaitResult {
    std::vector<ProcessObject> processes;
    bool timed_out = false;

    static void fields(auto& self, auto&& field) {
        field("processes", self.processes, "those that have ended, their whole trees too");
        field("timed_out", self.timed_out, "whether the time ran out first");
    }
};

struct TerminateParams {
    std::vector<Selector> processes;
    std::optional<Seconds> grace;
    std::optional<bool> wait;

    static void fields(auto& self, auto&& field) {
        field("processes", self.processes, "which processes");
        field("grace", self.grace, "seconds until SIGKILL; may shorten a running grace, never lengthens it");
        field("wait", self.wait, "answer only when their trees are gone");
    }
};

struct InterruptParams {
    std::vector<Selector> processes;
    std::optional<bool> tree;

    static void fields(auto& self, auto&& field) {
        field("processes", self.processes, "which processes");
        field("tree", self.tree, "the whole tree, not the main process alone");
    }
};

struct SignalParams {
    std::vector<Selector> processes;
    Signal signal;
    std::optional<bool> tree;

    static void fields(auto& self, auto&& field) {
        field("processes", self.processes, "which processes");
        field("signal", self.signal, "15, \"TERM\", \"SIGTERM\", \"RTMIN+1\"");
        field("tree", self.tree, "the whole tree, not the main process alone");
    }
};

struct CloseResult {
    std::vector<std::int64_t> closed;
    static void fields(auto& self, auto&& field) {
        field("closed", self.closed, "the ids that are forgotten now");
    }
};

struct SentinelResult {
    std::int64_t fd = 0;
    static void fields(auto& self, auto&& field) {
        field("fd", self.fd,
              "index of the descriptor that comes with this reply: a pidfd, readable from the end on");
    }
};

struct SessionParams {
    std::optional<std::string> name;
    std::optional<Stdio> stdio;

    static void fields(auto& self, auto&& field) {
        field("name", self.name, "for people; shown beside the session");
        field("stdio", self.stdio, "the streams of processes of this session that name none of their own");
    }
};

struct SessionResult {
    std::string session;
    static void fields(auto& self, auto&& field) {
        field("session", self.session, "its id, never used again");
    }
};

struct SessionEndParams {
    std::string session;
    static void fields(auto& self, auto&& field) {
        field("session", self.session, "one that this connection holds");
    }
};

struct LogsParams {
    Selector process;
    std::optional<std::int64_t> lines;
    std::optional<bool> follow;
    std::optional<bool> err;
    std::optional<bool> locate;

    static void fields(auto& self, auto&& field) {
        field("process", self.process, "which process");
        field("lines", self.lines, "only so many of the last lines; default: all that is kept");
        field("follow", self.follow, "go on as the log grows, until the process has exited");
        field("stderr", self.err, "the log of its standard error, where that is separate");
        field("locate", self.locate, "only say which file it is");
    }
};

struct LogFile {
    Bytes path;
    std::int64_t device = 0;
    std::int64_t inode = 0;
    std::string boot_id;

    static void fields(auto& self, auto&& field) {
        field("path", self.path, "in the file system that procd sees");
        field("device", self.device, "st_dev of the file");
        field("inode", self.inode, "st_ino of the file");
        field("boot_id", self.boot_id,
              "of this boot of procd's machine, on which the numbers mean that file");
    }
};

struct LogsResult {
    std::optional<std::int64_t> dropped;
    std::optional<std::vector<std::string>> remarks;
    std::optional<LogFile> file;

    static void fields(auto& self, auto&& field) {
        field("dropped", self.dropped, "how many bytes were gone before they could be read; absent: none");
        field("remarks", self.remarks, "what else there is to know about it, for people");
        field("file", self.file, "which file the log is, where that was asked for");
    }
};

struct LogDataParams {
    Json request;
    Data data;
    std::optional<std::int64_t> dropped;
    std::optional<bool> truncated;

    static void fields(auto& self, auto&& field) {
        field("request", self.request, "the id of the `logs` request");
        field(
            "data", self.data,
            "the next whole lines; a line longer than 64 KiB comes in parts; {\"base64\": \"…\"} where it is "
            "no UTF-8, or has a NUL");
        field("dropped", self.dropped, "how many bytes before it were gone before they could be read");
        field("truncated", self.truncated, "its writer truncated the log: this is from the new beginning");
    }
};

struct SubscribeParams {
    std::optional<std::int64_t> since;
    static void fields(auto& self, auto&& field) {
        field("since", self.since,
              "a seq seen before: its successors are sent again where procd still has them");
    }
};

struct SubscribeResult {
    std::vector<ProcessObject> processes;
    std::int64_t seq = 0;

    static void fields(auto& self, auto&& field) {
        field("processes", self.processes,
              "all as of seq; empty where the events since `since` follow instead");
        field("seq", self.seq, "the events after this one follow");
    }
};

struct EventParams {
    std::int64_t seq = 0;
    std::string time;
    EventType type = EventType::created;
    ProcessObject process;

    static void fields(auto& self, auto&& field) {
        field("seq", self.seq, "rises by one with each event of this procd");
        field("time", self.time, "RFC 3339, microseconds, UTC");
        field("type", self.type, "created, started, stopping, exited, changed or closed");
        field("process", self.process, "as it is after the event");
    }
};

struct ShutdownParams {
    std::optional<bool> wait;
    std::optional<bool> now;

    static void fields(auto& self, auto&& field) {
        field("wait", self.wait, "wait for non-daemons for ever, not only the drain time");
        field("now", self.now, "end everything at once");
    }
};

struct UpgradeParams {
    std::optional<Bytes> binary;

    static void fields(auto& self, auto&& field) {
        field("binary", self.binary,
              "the program to go on as, an absolute path; default: procd's own file, as it is now");
    }
};
struct UpgradeResult {
    std::string version;

    static void fields(auto& self, auto&& field) { field("version", self.version, "of the new program"); }
};

// ---- methods ---------------------------------------------------------------------------------------------

#define PROCD_METHOD(type, text, params, result, summary) \
    struct type {                                         \
        static constexpr const char* k_name = text;       \
        static constexpr const char* k_summary = summary; \
        using Params = params;                            \
        using Result = result;                            \
    };

PROCD_METHOD(Hello, "hello", Nothing, HelloResult, "Who answers here. Optional: no handshake is required.")
PROCD_METHOD(Discover, "rpc.discover", Nothing, OrderedJson, "This protocol as an OpenRPC document.")
PROCD_METHOD(Whoami, "whoami", Nothing, WhoamiResult,
             "The managed process and the session that the client runs in.")
PROCD_METHOD(Create, "create", CreateParams, ProcessObject, "Makes a process, not started yet.")
PROCD_METHOD(Start, "start", OneProcess, ProcessObject,
             "Starts a created process; answers when it has exec'd.")
PROCD_METHOD(Spawn, "spawn", CreateParams, ProcessObject,
             "create and start in one; a failure leaves no record.")
PROCD_METHOD(List, "list", ListParams, ListResult, "All processes of the caller's, living and ended.")
PROCD_METHOD(Status, "status", OneProcess, ProcessObject, "One process.")
PROCD_METHOD(Rename, "rename", RenameParams, ProcessObject, "Gives a process another name.")
PROCD_METHOD(Set, "set", SetParams, ProcessObject, "Changes a process's daemon flag or owner.")
PROCD_METHOD(Wait, "wait", WaitParams, WaitResult, "Waits until processes have ended, their whole trees too.")
PROCD_METHOD(Terminate, "terminate", TerminateParams, ProcessesResult,
             "SIGTERM to the tree, SIGKILL after the grace.")
PROCD_METHOD(Kill, "kill", ManyProcesses, ProcessesResult, "SIGKILL to the whole tree.")
PROCD_METHOD(Interrupt, "interrupt", InterruptParams, ProcessesResult, "SIGINT to the main process.")
PROCD_METHOD(SendSignal, "signal", SignalParams, ProcessesResult, "Any signal to the main process.")
PROCD_METHOD(Close, "close", ManyProcesses, CloseResult, "Forgets ended processes.")
PROCD_METHOD(Sentinel, "sentinel", OneProcess, SentinelResult,
             "A descriptor that is readable once the process ended.")
PROCD_METHOD(Session, "session", SessionParams, SessionResult,
             "An owner for processes that lasts as long as this connection.")
PROCD_METHOD(SessionEnd, "session.end", SessionEndParams, ProcessesResult,
             "Ends a session politely: daemons are ended, the living non-daemons are listed.")
PROCD_METHOD(Logs, "logs", LogsParams, LogsResult,
             "What a process wrote: `log` notifications, then the result.")
PROCD_METHOD(Subscribe, "subscribe", SubscribeParams, SubscribeResult,
             "All processes, then an `event` notification for each change.")
PROCD_METHOD(Shutdown, "shutdown", ShutdownParams, Nothing,
             "Tells procd to stop; answers when that has begun.")
PROCD_METHOD(Upgrade, "upgrade", UpgradeParams, UpgradeResult,
             "Replaces procd's program in place; the new one answers.")

#undef PROCD_METHOD

using Methods = std::tuple<Hello, Discover, Whoami, Create, Start, Spawn, List, Status, Rename, Set, Wait,
                           Terminate, Kill, Interrupt, SendSignal, Close, Sentinel, Session, SessionEnd, Logs,
                           Subscribe, Shutdown, Upgrade>;

// Calls visit(Method{}) for each.
void for_each_method(auto&& visit) {
    std::apply([&](auto... method) { (visit(method), ...); }, Methods{});
}

}  // namespace procd::proto
