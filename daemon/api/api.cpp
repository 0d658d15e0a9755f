#include "daemon/api/api.hpp"

#include <algorithm>
#include <utility>

#include "daemon/api/convert.hpp"
#include "daemon/api/dispatch.hpp"
#include "proto/messages.hpp"

namespace procd::api {
namespace {

void reply(Host& host, const Call& call, const RawAnswer& answer) {
    if (const auto* result = std::get_if<proto::OrderedJson>(&answer))
        host.send(call.peer.connection, proto::result_line(*call.id, *result), call.reply_descriptor);
    else if (const auto* error = std::get_if<proto::WireError>(&answer))
        host.send(call.peer.connection, proto::error_line(*call.id, *error));
}

}  // namespace

std::optional<core::Refusal> Call::identify() {
    core::Caller caller;
    caller.connection = peer.connection;
    caller.uid = host.self().uid == 0 ? peer.uid : host.self().uid;
    caller.sees_all = peer.uid == 0;
    const auto enclosing = host.enclosing(peer.connection);
    if (!enclosing) return enclosing.refusal();
    caller.enclosing = *enclosing;
    const auto& held = core.sessions_held_by(peer.connection);
    caller.sessions.assign(held.begin(), held.end());
    const auto around = host.session_around(peer.connection);
    if (!around) return around.refusal();
    if (*around) caller.sessions.push_back(**around);
    caller_ = std::move(caller);
    return std::nullopt;
}

Api::Api(core::Config config, Host& host) : host_(host), core_(config, *this), events_(host), logs_(host) {}

bool Api::handle(const Peer& peer, const std::string& line, const std::vector<core::ResourcePtr>& descriptors,
                 bool unheard) {
    auto parsed = proto::parse_request(line);
    if (const auto* bad = std::get_if<proto::BadRequest>(&parsed)) {
        if (bad->id) host_.send(peer.connection, proto::error_line(*bad->id, bad->error));
        return true;
    }
    auto& request = std::get<proto::Request>(parsed);
    if (unheard && !acts(request.method)) return true;
    // A process whose start is not recorded yet speaks already: it has exec'd, and the record comes in a
    // moment.
    if (core_.starting() > 0) {
        const auto in_launch = host_.runs_in_launch(peer.connection);
        if (!in_launch) {
            if (request.id)
                host_.send(peer.connection, proto::error_line(*request.id, wire_error(in_launch.refusal())));
            return true;
        }
        if (*in_launch) {
            held_by_launch_.insert(peer.connection);
            return false;
        }
    }
    if (starts_.contains(peer.connection) && looks_at_started(request.method)) {
        held_.insert(peer.connection);
        return false;
    }
    Call call(*this, core_, host_, peer, descriptors, std::move(request.id));
    // What was decided is done, even where there is no memory to tell of it.
    const auto perform_all_the_same = [&] { host_.perform(std::exchange(call.actions, {})); };
    RawAnswer answer;
    try {
        answer = dispatch(call, request.method, request.params);
    } catch (...) {
        perform_all_the_same();
        throw;
    }
    // A watch that came to nothing.
    for (const std::uint64_t watch : call.watched) {
        const core::OwnerKey key{core::OwnerKind::pid, watch};
        if (!core_.has_unfinished(key)) host_.rest_watch(watch, core_.owned_by(key) == nullptr);
    }
    try {
        if (call.id) reply(host_, call, answer);
        if (call.after_reply) call.after_reply();
    } catch (...) {
        perform_all_the_same();
        throw;
    }
    host_.perform(std::move(call.actions));
    return true;
}

void Api::refuse_line(const Peer& peer, const proto::WireError& error) {
    host_.send(peer.connection, proto::error_line("null", error));
}

void Api::refuse_descriptors(const Peer& peer, const std::string& line, const std::string& why) {
    const auto parsed = proto::parse_request(line);
    const auto* request = std::get_if<proto::Request>(&parsed);
    const std::string id = request ? request->id.value_or("") : "null";
    if (id.empty()) return;
    host_.send(peer.connection, proto::error_line(id, refuse(proto::ErrorKind::limit, why)));
}

bool Api::owes(core::ConnectionId connection) const {
    if (deferred_by_connection_.contains(connection) || events_.subscribed(connection)) return true;
    if (logs_.reads(connection)) return true;
    if (!core_.sessions_held_by(connection).empty()) return true;
    const auto* owned = core_.owned_by(core::OwnerKey{core::OwnerKind::connection, connection});
    return owned && std::any_of(owned->begin(), owned->end(),
                                [this](core::ProcessId id) { return !core_.find(id)->exited(); });
}

void Api::connection_closed(core::ConnectionId connection) {
    events_.unsubscribe(connection);
    logs_.connection_closed(connection);
    starts_.erase(connection);
    held_.erase(connection);
    held_by_launch_.erase(connection);
    if (const auto tokens = deferred_by_connection_.find(connection);
        tokens != deferred_by_connection_.end()) {
        for (const core::Token token : tokens->second) {
            const auto found = deferred_.find(token);
            core_.release(found->second.uid, found->second.bytes);
            deferred_.erase(found);
        }
        deferred_by_connection_.erase(tokens);
    }
    happened(core::ConnectionClosed{connection});
}

void Api::happened(const core::Event& event) {
    host_.perform(core_.handle(event, host_.now()));
    if (!std::holds_alternative<core::LaunchSucceeded>(event) &&
        !std::holds_alternative<core::LaunchFailed>(event))
        return;
    for (const core::ConnectionId connection : std::exchange(held_by_launch_, {})) host_.resume(connection);
}

// ---- answers that come later -----------------------------------------------------------------------------

core::Outcome<core::Token> Api::defer(const Call& call, Deferred deferred) {
    constexpr std::size_t k_bytes = 256;  // about what one costs beside its texts
    deferred.uid = call.caller().uid;
    deferred.bytes = k_bytes + call.id.value_or("").size() +
                     (deferred.all_of ? deferred.all_of->size() * sizeof(core::ProcessId) : 0);
    if (const auto room = core_.charge(deferred.uid, deferred.bytes); !room) return room.refusal();
    const core::Token token = next_token_++;
    deferred.connection = call.peer.connection;
    deferred.id = call.id;
    deferred_.emplace(token, std::move(deferred));
    deferred_by_connection_[call.peer.connection].insert(token);
    return token;
}

core::Outcome<core::Token> Api::defer_process(const Call& call) {
    auto token = defer(call, Deferred{});
    if (token) ++starts_[call.peer.connection];
    return token;
}

core::Outcome<core::Token> Api::defer_wait(const Call& call,
                                           std::optional<std::vector<core::ProcessId>> all_of) {
    Deferred deferred;
    deferred.wait = true;
    deferred.all_of = std::move(all_of);
    return defer(call, std::move(deferred));
}

void Api::thaw(std::map<core::Token, Deferred> deferred, core::Token next_token) {
    next_token_ = next_token;
    deferred_ = std::move(deferred);
    for (const auto& [token, one] : deferred_) {
        (void)core_.charge(one.uid, one.bytes);
        deferred_by_connection_[one.connection].insert(token);
    }
}

void Api::upgraded(const UpgradeRequest& request, const std::string& version) {
    if (request.id)
        host_.send(request.connection,
                   proto::result_line(*request.id, proto::encode(proto::UpgradeResult{version})));
}

void Api::upgrade_failed(const UpgradeRequest& request, const UpgradeFailure& failure) {
    host_.log("upgrade: nothing has changed: " + failure.message);
    if (!request.id) return;
    proto::WireError error =
        refuse(failure.of_program ? proto::ErrorKind::exec_failed : proto::ErrorKind::limit, failure.message);
    if (failure.of_program) error.details["stage"] = "check";
    if (failure.error != 0) error.details["errno"] = failure.error;
    host_.send(request.connection, proto::error_line(*request.id, error));
}

void Api::forget_deferred(core::Token token) {
    take(token);
}

std::optional<Api::Deferred> Api::take(core::Token token) {
    const auto found = deferred_.find(token);
    if (found == deferred_.end()) return std::nullopt;
    Deferred deferred = std::move(found->second);
    deferred_.erase(found);
    core_.release(deferred.uid, deferred.bytes);
    if (const auto tokens = deferred_by_connection_.find(deferred.connection);
        tokens != deferred_by_connection_.end()) {
        tokens->second.erase(token);
        if (tokens->second.empty()) deferred_by_connection_.erase(tokens);
    }
    if (deferred.wait) return deferred;
    const auto starts = starts_.find(deferred.connection);
    if (starts == starts_.end() || --starts->second > 0) return deferred;
    starts_.erase(starts);
    if (held_.erase(deferred.connection) > 0) host_.resume(deferred.connection);
    return deferred;
}

void Api::on_change(core::EventType type, const core::Process& process) {
    events_.publish(core_, type, process);
    if (type == core::EventType::exited) logs_.process_exited(process.id);
}

void Api::on_started(core::Token token, const core::Process& process, const core::LaunchFailure* failure) {
    const auto deferred = take(token);
    if (failure) host_.log(wire_error(process, *failure).message);
    if (!deferred || !deferred->id) return;
    if (failure)
        host_.send(deferred->connection, proto::error_line(*deferred->id, wire_error(process, *failure)));
    else
        host_.send(
            deferred->connection,
            proto::result_line(*deferred->id, proto::encode(process_object(core_, process, host_.now()))));
}

void Api::on_waited(core::Token token, const std::vector<const core::Process*>& ended, bool timed_out) {
    const auto deferred = take(token);
    if (!deferred || !deferred->id) return;
    const core::Now now = host_.now();
    std::vector<proto::ProcessObject> objects;
    for (const core::Process* process : ended) objects.push_back(process_object(core_, *process, now));
    const proto::OrderedJson result = deferred->all_of
                                          ? proto::encode(proto::ProcessesResult{std::move(objects)})
                                          : proto::encode(proto::WaitResult{std::move(objects), timed_out});
    host_.send(deferred->connection, proto::result_line(*deferred->id, result));
}

}  // namespace procd::api
