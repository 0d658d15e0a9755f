#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "daemon/api/call.hpp"
#include "daemon/api/events.hpp"
#include "daemon/api/host.hpp"
#include "daemon/api/log_streams.hpp"
#include "daemon/core/supervisor.hpp"
#include "proto/envelope.hpp"

namespace procd::api {

// From a request's line to its answer: parses, looks the method up in the one table (dispatch.cpp), checks
// the permission, runs the handler, and remembers who is answered later.
class Api final : public core::Listener {
  public:
    Api(core::Config config, Host& host);

    core::Supervisor& core() { return core_; }

    // One request. Answers go out through Host::send. False: it looks at processes that this connection is
    // still starting, and requests take effect in the order sent: nothing was done, offer it again after
    // Host::resume.
    // unheard: the client has hung up; only what does something is still done.
    bool handle(const Peer& peer, const std::string& line, const std::vector<core::ResourcePtr>& descriptors,
                bool unheard = false);
    // A line that could not be taken whole: `error` is its answer.
    void refuse_line(const Peer& peer, const proto::WireError& error);
    // A request of whose descriptors some were dropped: there is no room for them.
    void refuse_descriptors(const Peer& peer, const std::string& line, const std::string& why);
    void connection_closed(core::ConnectionId connection);
    // Whether an answer, events, or a process or session of its own is still to come or to keep for this
    // connection.
    bool owes(core::ConnectionId connection) const;
    // The world, told to the core; what it decides is performed.
    void happened(const core::Event& event);
    // What was read of a log.
    void log_chunk(LogId log, const LogChunk& chunk) { logs_.deliver(log, chunk); }
    void log_end(LogId log, const LogReport& report) { logs_.finish(log, report); }

    // For handlers.
    // A token whose answer comes later, as the process object (start, spawn); refused where the caller has
    // too much of such already …
    core::Outcome<core::Token> defer_process(const Call& call);
    // … as the result of a wait, or as {processes} of those ids (terminate with wait).
    core::Outcome<core::Token> defer_wait(const Call& call,
                                          std::optional<std::vector<core::ProcessId>> all_of);
    void forget_deferred(core::Token token);
    EventStream& events() { return events_; }
    LogStreams& logs() { return logs_; }

    // core::Listener
    void on_change(core::EventType type, const core::Process& process) override;
    void on_started(core::Token token, const core::Process& process,
                    const core::LaunchFailure* failure) override;
    void on_waited(core::Token token, const std::vector<const core::Process*>& ended,
                   bool timed_out) override;

    struct Deferred {
        core::ConnectionId connection = 0;
        core::UserId uid = 0;  // who is charged for it
        std::size_t bytes = 0;
        std::optional<std::string> id;
        bool wait = false;
        std::optional<std::vector<core::ProcessId>> all_of;
    };
    // What is owed to clients, for another program in this process. Not while a start is under way.
    const std::map<core::Token, Deferred>& deferred() const { return deferred_; }
    core::Token next_token() const { return next_token_; }
    void thaw(std::map<core::Token, Deferred> deferred, core::Token next_token);
    void upgraded(const UpgradeRequest& request, const std::string& version);
    void upgrade_failed(const UpgradeRequest& request, const UpgradeFailure& failure);

  private:
    core::Outcome<core::Token> defer(const Call& call, Deferred deferred);
    std::optional<Deferred> take(core::Token token);

    Host& host_;
    core::Supervisor core_;
    EventStream events_;
    LogStreams logs_;
    std::map<core::Token, Deferred> deferred_;
    std::map<core::ConnectionId, std::set<core::Token>> deferred_by_connection_;
    std::map<core::ConnectionId, std::size_t> starts_;  // of each connection, under way
    std::set<core::ConnectionId> held_;                 // whose next request waits for them
    std::set<core::ConnectionId> held_by_launch_;       // of processes that are not recorded as running yet
    core::Token next_token_ = 1;
};

}  // namespace procd::api
