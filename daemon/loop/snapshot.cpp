#include "daemon/state/snapshot.hpp"

#include <algorithm>
#include <utility>

#include "daemon/loop/descriptor.hpp"
#include "daemon/loop/log.hpp"
#include "daemon/loop/runtime.hpp"
#include "daemon/sys/replace.hpp"

// All that a Runtime knows, as another program in the same process goes on from it, and back.
namespace procd::loop {
namespace {

std::int64_t signed_of(std::uint64_t number) {
    return static_cast<std::int64_t>(number);
}
std::uint64_t unsigned_of(std::int64_t number) {
    return static_cast<std::uint64_t>(number);
}

std::optional<bool> if_true(bool value) {
    return value ? std::optional(true) : std::nullopt;
}

// ---- descriptors -----------------------------------------------------------------------------------------

// Notes which stay open.
struct Keeper {
    std::vector<int>& kept;

    std::int64_t number(int fd) {
        kept.push_back(fd);
        return fd;
    }
    std::optional<std::int64_t> some(int fd) { return fd < 0 ? std::nullopt : std::optional(number(fd)); }
    state::DescriptorText text(const core::ResourcePtr& resource) {
        const auto& descriptor = static_cast<const Descriptor&>(*resource);
        state::DescriptorText text{number(descriptor.fd.get()), std::nullopt, std::nullopt};
        if (descriptor.count) text.uid = descriptor.count->uid;
        text.brought = if_true(descriptor.origin == Descriptor::Origin::brought);
        return text;
    }
    std::optional<state::DescriptorText> some(const core::ResourcePtr& resource) {
        return resource ? std::optional(text(resource)) : std::nullopt;
    }
};

UniqueFd taken(std::optional<std::int64_t> number) {
    if (!number) return {};
    sys::set_close_on_exec(static_cast<int>(*number));
    return UniqueFd(static_cast<int>(*number));
}

core::ResourcePtr* descriptor_in(core::StreamTarget& target) {
    auto* to = std::get_if<core::ToDescriptor>(&target);
    return to ? &to->descriptor : nullptr;
}

std::optional<state::SpecDescriptorsText> spec_descriptors(const core::Process& process, Keeper& keeper) {
    if (!process.spec) return std::nullopt;
    core::LaunchSpec spec = *process.spec;
    state::SpecDescriptorsText text;
    text.id = process.id;
    const auto stream = [&](std::size_t number) -> std::optional<state::DescriptorText> {
        const core::ResourcePtr* there = descriptor_in(spec.stdio[number]);
        return there ? keeper.some(*there) : std::nullopt;
    };
    text.in = stream(0);
    text.out = stream(1);
    text.err = stream(2);
    text.terminal = keeper.some(spec.terminal);
    for (const core::ResourcePtr& one : spec.descriptors) text.more.push_back(keeper.text(one));
    const bool any = text.in || text.out || text.err || text.terminal || !text.more.empty();
    return any ? std::optional(std::move(text)) : std::nullopt;
}

state::LogStreamText log_text(api::LogId log, const api::LogStreams::Stream& stream) {
    state::LogStreamText text;
    text.log = signed_of(log);
    text.connection = signed_of(stream.connection);
    text.process = stream.process;
    text.request = stream.request;
    text.reader = stream.reader;
    text.owner = stream.what.uid;
    text.path = {stream.what.path};
    if (stream.what.lines) text.lines = signed_of(*stream.what.lines);
    if (stream.what.from) {
        text.from = signed_of(stream.what.from->offset);
        text.generation = signed_of(stream.what.from->generation);
    }
    text.follow = if_true(stream.what.follow);
    text.locate = if_true(stream.what.locate);
    text.dropped = signed_of(stream.dropped);
    return text;
}

api::LogStreams::Stream log_of(const state::LogStreamText& text) {
    api::LogRequest what{
        text.path.value, text.owner,  std::nullopt, text.follow.value_or(false), text.locate.value_or(false),
        text.reader,     std::nullopt};
    if (text.lines) what.lines = unsigned_of(*text.lines);
    if (text.from)
        what.from = api::LogPlace{unsigned_of(text.generation.value_or(0)), unsigned_of(*text.from)};
    return {unsigned_of(text.connection), text.request, text.reader, text.process, std::move(what),
            unsigned_of(text.dropped)};
}

}  // namespace

// ---- out -------------------------------------------------------------------------------------------------

state::ConnectionText Runtime::connection_text(core::ConnectionId id, Client& client,
                                               std::vector<int>& kept) {
    Keeper keeper{kept};
    Connection& connection = *client.connection;
    const sys::Peer& peer = connection.peer();
    state::ConnectionText text;
    text.id = signed_of(id);
    text.socket = keeper.number(connection.socket());
    text.pid = peer.pid;
    text.uid = peer.uid;
    text.gid = peer.gid;
    text.groups.assign(peer.groups.begin(), peer.groups.end());
    text.pidfd = keeper.some(client.pidfd ? client.pidfd->fd() : client.early_pidfd.get());
    text.watched = if_true(client.pidfd != nullptr);
    text.peer_ended = if_true(client.peer_ended);
    Connection::Frozen frozen = connection.freeze();
    text.input = {std::move(frozen.input)};
    text.draining = if_true(frozen.draining);
    for (const Connection::Incoming& incoming : frozen.incoming) {
        state::IncomingText& one = text.incoming.emplace_back();
        one.last_byte = signed_of(incoming.last_byte);
        for (const core::ResourcePtr& descriptor : incoming.descriptors)
            one.descriptors.push_back(keeper.text(descriptor));
        one.truncated = incoming.truncated;
    }
    for (const Connection::Outgoing& outgoing : frozen.outgoing)
        text.outgoing.push_back({{outgoing.bytes}, keeper.some(outgoing.descriptor)});
    text.input_ended = if_true(frozen.input_ended);
    return text;
}

std::string Runtime::snapshot_text(const api::UpgradeRequest& request, std::vector<int>& kept) {
    Keeper keeper{kept};
    state::Snapshot snapshot;
    core::Frozen frozen = api_.core().freeze();
    const api::EventStream::Frozen events = api_.events().freeze();

    state::InstanceText& instance = snapshot.instance;
    instance.listener = keeper.number(acceptor_->listener().fd());
    instance.lock = keeper.some(acceptor_->listener().lock_fd());
    instance.group = containment_->place();
    instance.next_connection = signed_of(next_connection_);
    instance.next_token = signed_of(api_.next_token());
    instance.next_log = signed_of(api_.logs().next());
    instance.seq = events.seq;
    instance.events_wanted = if_true(events.wanted);
    instance.nofile_soft = signed_of(config_.nofile.soft);
    instance.nofile_hard = signed_of(config_.nofile.hard);
    if (request.id) {
        instance.asked_by = signed_of(request.connection);
        instance.request = request.id;
    }
    for (auto& [id, client] : clients_) snapshot.connections.push_back(connection_text(id, client, kept));
    for (const core::Session& session : frozen.sessions)
        snapshot.sessions.push_back({session.id, signed_of(session.holder), session.uid, session.name,
                                     keeper.some(session.out), keeper.some(session.err)});
    for (const auto& [wait, deadline] : frozen.waits) {
        state::WaitText& text = snapshot.waits.emplace_back();
        text = {signed_of(wait.token),
                signed_of(wait.connection),
                wait.uid,
                wait.ids,
                wait.mode,
                signed_of(wait.ended),
                std::nullopt};
        if (deadline) text.deadline = deadline->time_since_epoch().count();
    }
    for (const auto& [token, deferred] : api_.deferred())
        snapshot.deferred.push_back({signed_of(token), signed_of(deferred.connection), deferred.uid,
                                     signed_of(deferred.bytes), deferred.id, if_true(deferred.wait),
                                     deferred.all_of});
    for (const core::Caller& caller : events.subscribers)
        snapshot.subscribers.push_back({signed_of(caller.connection), caller.uid, if_true(caller.sees_all),
                                        caller.enclosing, caller.sessions});
    for (const auto& event : events.kept) snapshot.events.push_back({event.seq, event.uid, event.line});
    for (const auto& [log, stream] : api_.logs().streams()) snapshot.logs.push_back(log_text(log, stream));
    for (const core::Process& process : frozen.saved.processes) {
        if (auto descriptors = spec_descriptors(process, keeper))
            snapshot.descriptors.push_back(std::move(*descriptors));
        if (process.exited() || !process.started_or_starting()) continue;
        const Children::Holdings holdings = children_.holdings(process);
        state::ChildText& child = snapshot.children.emplace_back();
        child.id = process.id;
        child.pidfd = keeper.some(holdings.pidfd);
        child.log_pipe = keeper.some(holdings.log_pipe);
        child.log_stderr_pipe = keeper.some(holdings.log_stderr_pipe);
        child.adopted = if_true(!holdings.own);
        for (const sys::ProcessKey& member : holdings.members)
            child.members.push_back({member.pid, signed_of(member.start_time)});
    }
    snapshot.saved = std::move(frozen.saved);
    snapshot.closed = std::move(frozen.closed);
    return state::text_of(snapshot);
}

// ---- back ------------------------------------------------------------------------------------------------

core::ResourcePtr Runtime::descriptor_from(const std::optional<state::DescriptorText>& text) {
    if (!text) return nullptr;
    auto count = text->uid ? descriptors_of(*text->uid) : nullptr;
    if (text->brought && count) return hold_brought(taken(text->fd), std::move(count));
    return hold(taken(text->fd), std::move(count));
}

void Runtime::thaw_connection(const state::ConnectionText& text) {
    sys::Peer peer{
        static_cast<pid_t>(text.pid), text.uid, text.gid, {text.groups.begin(), text.groups.end()}};
    const core::ConnectionId id = unsigned_of(text.id);
    Client* const client = add_client(id, taken(text.socket), std::move(peer));
    if (!client) return;
    client->peer_ended = text.peer_ended.value_or(false);
    UniqueFd pidfd = taken(text.pidfd);
    if (text.watched)
        watch_client(id, *client, std::move(pidfd));
    else
        client->early_pidfd = std::move(pidfd);
    Connection::Frozen frozen;
    frozen.input = text.input.value;
    frozen.draining = text.draining.value_or(false);
    for (const state::IncomingText& one : text.incoming) {
        Connection::Incoming& incoming = frozen.incoming.emplace_back();
        incoming.last_byte = unsigned_of(one.last_byte);
        for (const auto& descriptor : one.descriptors)
            incoming.descriptors.push_back(descriptor_from(descriptor));
        incoming.truncated = one.truncated;
    }
    for (const state::OutgoingText& one : text.outgoing)
        frozen.outgoing.push_back({one.bytes.value, 0, descriptor_from(one.descriptor)});
    frozen.input_ended = text.input_ended.value_or(false);
    client->connection->thaw(std::move(frozen));
    client->connection->start();
}

void Runtime::thaw_specs(const state::Snapshot& snapshot, std::vector<core::Process>& processes) {
    std::map<core::ProcessId, const state::SpecDescriptorsText*> by_id;
    for (const auto& text : snapshot.descriptors) by_id[text.id] = &text;
    for (core::Process& process : processes) {
        const auto found = by_id.find(process.id);
        if (found == by_id.end() || !process.spec) continue;
        const state::SpecDescriptorsText& text = *found->second;
        auto spec = std::make_shared<core::LaunchSpec>(*process.spec);
        const std::array streams{&text.in, &text.out, &text.err};
        for (std::size_t stream = 0; stream < streams.size(); ++stream)
            if (core::ResourcePtr* place = descriptor_in(spec->stdio[stream]))
                *place = descriptor_from(*streams[stream]);
        spec->terminal = descriptor_from(text.terminal);
        for (const auto& one : text.more) spec->descriptors.push_back(descriptor_from(one));
        spec->lost_descriptors = false;
        process.spec = std::move(spec);
    }
}

void Runtime::thaw(state::Snapshot snapshot) {
    const state::InstanceText& instance = snapshot.instance;
    next_connection_ = unsigned_of(instance.next_connection);
    (void)children_.left_trees();

    core::Frozen frozen;
    frozen.saved = std::move(snapshot.saved);
    frozen.closed = std::move(snapshot.closed);
    thaw_specs(snapshot, frozen.saved.processes);
    for (const state::SessionText& text : snapshot.sessions)
        frozen.sessions.push_back({text.id, unsigned_of(text.holder), text.uid, text.name,
                                   descriptor_from(text.out), descriptor_from(text.err)});
    for (const state::WaitText& text : snapshot.waits) {
        core::Wait wait{unsigned_of(text.token),
                        unsigned_of(text.connection),
                        text.uid,
                        text.ids,
                        text.mode,
                        static_cast<std::size_t>(text.ended)};
        std::optional<core::Mono> deadline;
        if (text.deadline) deadline = core::Mono(core::Duration(*text.deadline));
        frozen.waits.push_back({std::move(wait), deadline});
    }
    core::Actions actions = api_.core().thaw(std::move(frozen), now());
    journal_.begin(api_.core(), journal_header());
    thaw_children(snapshot);
    thaw_api(snapshot);
    for (const state::ConnectionText& text : snapshot.connections) thaw_connection(text);
    std::map<api::LogId, api::LogStreams::Stream> streams;
    for (const state::LogStreamText& text : snapshot.logs)
        streams.emplace(unsigned_of(text.log), log_of(text));
    api_.logs().thaw(std::move(streams), unsigned_of(instance.next_log));
    perform(std::move(actions));
    take_back_owners();
    log_info("went on as procd " + config_.version + " with " + std::to_string(api_.core().active()) +
             " processes and " + std::to_string(clients_.size()) + " connections");
    if (instance.asked_by)
        api_.upgraded({unsigned_of(*instance.asked_by), instance.request}, config_.version);
}

void Runtime::thaw_children(const state::Snapshot& snapshot) {
    std::map<core::ProcessId, const state::ChildText*> by_id;
    for (const state::ChildText& text : snapshot.children) by_id[text.id] = &text;
    std::vector<core::ProcessId> lost;
    for (const auto& [id, process] : api_.core().processes()) {
        if (process.exited() || !process.started_or_starting()) continue;
        Children::Remains remains;
        if (const auto found = by_id.find(id); found != by_id.end()) {
            const state::ChildText& text = *found->second;
            remains.pidfd = taken(text.pidfd);
            remains.log_pipe = taken(text.log_pipe);
            remains.log_stderr_pipe = taken(text.log_stderr_pipe);
            remains.own = !text.adopted.value_or(false);
            for (const state::MemberText& member : text.members)
                remains.members.push_back({static_cast<pid_t>(member.pid), unsigned_of(member.start_time)});
        }
        if (!children_.take_back(process, std::move(remains))) lost.push_back(id);
    }
    for (const core::ProcessId id : lost)
        api_.happened(core::MainExited{id, core::Exit{core::How::lost, 0, 0, false}});
}

void Runtime::thaw_api(const state::Snapshot& snapshot) {
    std::map<core::Token, api::Api::Deferred> deferred;
    for (const state::DeferredText& text : snapshot.deferred)
        deferred.emplace(
            unsigned_of(text.token),
            api::Api::Deferred{unsigned_of(text.connection), text.uid, static_cast<std::size_t>(text.bytes),
                               text.id, text.wait.value_or(false), text.all_of});
    api_.thaw(std::move(deferred), unsigned_of(snapshot.instance.next_token));
    api::EventStream::Frozen events;
    events.seq = snapshot.instance.seq;
    events.wanted = snapshot.instance.events_wanted.value_or(false);
    for (const state::EventText& text : snapshot.events)
        events.kept.push_back({text.seq, text.uid, text.line});
    for (const state::SubscriberText& text : snapshot.subscribers) {
        core::Caller& caller = events.subscribers.emplace_back();
        caller.connection = unsigned_of(text.connection);
        caller.uid = text.uid;
        caller.sees_all = text.sees_all.value_or(false);
        caller.enclosing = text.enclosing;
        caller.sessions = text.sessions;
    }
    api_.events().thaw(std::move(events));
}

}  // namespace procd::loop
