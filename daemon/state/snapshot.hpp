#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "daemon/core/frozen.hpp"
#include "daemon/core/types.hpp"
#include "daemon/state/messages.hpp"
#include "proto/codec.hpp"
#include "proto/types.hpp"

// All that one program of procd hands to the next in the same process (upgrade): the journal's text, and a
// line for each thing that lives only as long as the process does. Descriptors are named by their numbers:
// they stay open. A text of this version is kept as tests/unit/golden/state-1 and must be read by every later
// one.
namespace procd::state {

struct DescriptorText {
    std::int64_t fd = -1;
    std::optional<std::uint32_t> uid;  // on whose account it is
    std::optional<bool> brought;       // by that user
    static void fields(auto& self, auto&& field) {
        field("fd", self.fd, "");
        field("uid", self.uid, "");
        field("brought", self.brought, "");
    }
};

// What there is once.
struct InstanceText {
    std::int64_t listener = -1;
    std::optional<std::int64_t> lock;  // none: the socket is the service manager's
    std::string group;                 // sys::Containment::place
    std::int64_t next_connection = 1, next_token = 1, next_log = 1, seq = 0;
    std::optional<bool> events_wanted;
    std::int64_t nofile_soft = 0, nofile_hard = 0;  // before procd raised its own; -1: unlimited
    // Whom the new program answers; none: it was asked by a signal.
    std::optional<std::int64_t> asked_by;
    std::optional<std::string> request;  // JSON text of its id
    static void fields(auto& self, auto&& field) {
        field("listener", self.listener, "");
        field("lock", self.lock, "");
        field("group", self.group, "");
        field("next_connection", self.next_connection, "");
        field("next_token", self.next_token, "");
        field("next_log", self.next_log, "");
        field("seq", self.seq, "");
        field("events_wanted", self.events_wanted, "");
        field("nofile_soft", self.nofile_soft, "");
        field("nofile_hard", self.nofile_hard, "");
        field("asked_by", self.asked_by, "");
        field("request", self.request, "");
    }
};

// Descriptors that came with the byte at this place of a connection's input.
struct IncomingText {
    std::int64_t last_byte = 0;
    std::vector<DescriptorText> descriptors;
    std::string truncated;
    static void fields(auto& self, auto&& field) {
        field("last_byte", self.last_byte, "");
        field("descriptors", self.descriptors, "");
        field("truncated", self.truncated, "");
    }
};

struct OutgoingText {
    proto::Data bytes;
    std::optional<DescriptorText> descriptor;
    static void fields(auto& self, auto&& field) {
        field("bytes", self.bytes, "");
        field("descriptor", self.descriptor, "");
    }
};

struct ConnectionText {
    std::int64_t id = 0, socket = -1;
    std::int64_t pid = 0;
    std::uint32_t uid = 0, gid = 0;
    std::vector<std::uint32_t> groups;
    std::optional<std::int64_t> pidfd;  // of the peer
    std::optional<bool> watched;        // its end is noticed
    std::optional<bool> peer_ended;
    proto::Data input;             // not processed yet, from place 0 on
    std::optional<bool> draining;  // within a line that is too long
    std::vector<IncomingText> incoming;
    std::vector<OutgoingText> outgoing;
    std::optional<bool> input_ended;
    static void fields(auto& self, auto&& field) {
        field("id", self.id, "");
        field("socket", self.socket, "");
        field("pid", self.pid, "");
        field("uid", self.uid, "");
        field("gid", self.gid, "");
        field("groups", self.groups, "");
        field("pidfd", self.pidfd, "");
        field("watched", self.watched, "");
        field("peer_ended", self.peer_ended, "");
        field("input", self.input, "");
        field("draining", self.draining, "");
        field("incoming", self.incoming, "");
        field("outgoing", self.outgoing, "");
        field("input_ended", self.input_ended, "");
    }
};

struct SessionText {
    std::int64_t id = 0, holder = 0;
    std::uint32_t uid = 0;
    std::string name;
    std::optional<DescriptorText> out, err;
    static void fields(auto& self, auto&& field) {
        field("id", self.id, "");
        field("holder", self.holder, "");
        field("uid", self.uid, "");
        field("name", self.name, "");
        field("out", self.out, "");
        field("err", self.err, "");
    }
};

struct WaitText {
    std::int64_t token = 0, connection = 0;
    std::uint32_t uid = 0;
    std::vector<std::int64_t> ids;
    core::WaitMode mode = core::WaitMode::all;
    std::int64_t ended = 0;
    std::optional<std::int64_t> deadline;
    static void fields(auto& self, auto&& field) {
        field("token", self.token, "");
        field("connection", self.connection, "");
        field("uid", self.uid, "");
        field("ids", self.ids, "");
        field("mode", self.mode, "");
        field("ended", self.ended, "");
        field("deadline", self.deadline, "");
    }
};

// An answer that comes later.
struct DeferredText {
    std::int64_t token = 0, connection = 0;
    std::uint32_t uid = 0;
    std::int64_t bytes = 0;
    std::optional<std::string> id;
    std::optional<bool> wait;
    std::optional<std::vector<std::int64_t>> all_of;
    static void fields(auto& self, auto&& field) {
        field("token", self.token, "");
        field("connection", self.connection, "");
        field("uid", self.uid, "");
        field("bytes", self.bytes, "");
        field("id", self.id, "");
        field("wait", self.wait, "");
        field("all_of", self.all_of, "");
    }
};

struct SubscriberText {
    std::int64_t connection = 0;
    std::uint32_t uid = 0;
    std::optional<bool> sees_all;
    std::optional<std::int64_t> enclosing;
    std::vector<std::int64_t> sessions;
    static void fields(auto& self, auto&& field) {
        field("connection", self.connection, "");
        field("uid", self.uid, "");
        field("sees_all", self.sees_all, "");
        field("enclosing", self.enclosing, "");
        field("sessions", self.sessions, "");
    }
};

struct EventText {
    std::int64_t seq = 0;
    std::uint32_t uid = 0;
    std::string line;
    static void fields(auto& self, auto&& field) {
        field("seq", self.seq, "");
        field("uid", self.uid, "");
        field("line", self.line, "");
    }
};

// A log being read for a client.
struct LogStreamText {
    std::int64_t log = 0, connection = 0, process = 0;
    std::string request;
    std::uint32_t reader = 0, owner = 0;
    proto::Bytes path;
    std::optional<std::int64_t> lines, from, generation;  // from: up to where it was read of that generation
    std::optional<bool> follow, locate;
    std::int64_t dropped = 0;
    static void fields(auto& self, auto&& field) {
        field("log", self.log, "");
        field("connection", self.connection, "");
        field("process", self.process, "");
        field("request", self.request, "");
        field("reader", self.reader, "");
        field("owner", self.owner, "");
        field("path", self.path, "");
        field("lines", self.lines, "");
        field("from", self.from, "");
        field("generation", self.generation, "");
        field("follow", self.follow, "");
        field("locate", self.locate, "");
        field("dropped", self.dropped, "");
    }
};

// Somebody who is known to be of a tree by more than where it lives.
struct MemberText {
    std::int64_t pid = 0, start_time = 0;
    static void fields(auto& self, auto&& field) {
        field("pid", self.pid, "");
        field("start_time", self.start_time, "");
    }
};

struct ChildText {
    std::int64_t id = 0;
    std::optional<std::int64_t> pidfd;                      // until its main was reaped
    std::optional<std::int64_t> log_pipe, log_stderr_pipe;  // read ends
    std::optional<bool> adopted;                            // it was born to an earlier procd
    std::vector<MemberText> members;
    static void fields(auto& self, auto&& field) {
        field("id", self.id, "");
        field("pidfd", self.pidfd, "");
        field("log_pipe", self.log_pipe, "");
        field("log_stderr_pipe", self.log_stderr_pipe, "");
        field("adopted", self.adopted, "");
        field("members", self.members, "");
    }
};

// The descriptors of one that is to be started yet.
struct SpecDescriptorsText {
    std::int64_t id = 0;
    std::optional<DescriptorText> in, out, err, terminal;
    std::vector<DescriptorText> more;
    static void fields(auto& self, auto&& field) {
        field("id", self.id, "");
        field("in", self.in, "");
        field("out", self.out, "");
        field("err", self.err, "");
        field("terminal", self.terminal, "");
        field("more", self.more, "");
    }
};

struct Snapshot {
    core::Saved saved;
    std::vector<core::Process> closed;
    InstanceText instance;
    std::vector<ConnectionText> connections;
    std::vector<SessionText> sessions;
    std::vector<WaitText> waits;
    std::vector<DeferredText> deferred;
    std::vector<SubscriberText> subscribers;
    std::vector<EventText> events;
    std::vector<LogStreamText> logs;
    std::vector<ChildText> children;
    std::vector<SpecDescriptorsText> descriptors;
};

std::string text_of(const Snapshot& snapshot);
// All of it, or why not: half a state is none.
std::variant<Snapshot, std::string> snapshot_from(std::string_view text);

}  // namespace procd::state
