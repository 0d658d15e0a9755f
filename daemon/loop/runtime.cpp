#include "daemon/loop/runtime.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <limits>
#include <new>
#include <utility>

#include "base/fd_passing.hpp"
#include "daemon/loop/descriptor.hpp"
#include "daemon/loop/guard.hpp"
#include "daemon/loop/log.hpp"
#include "daemon/sys/closing.hpp"
#include "daemon/sys/descriptors.hpp"
#include "daemon/sys/notify.hpp"
#include "daemon/sys/process_self.hpp"
#include "daemon/sys/signals.hpp"

namespace procd::loop {
namespace {

constexpr auto k_farewell = std::chrono::seconds(1);  // for the last answers to be read, and for strays to go
constexpr auto k_again = std::chrono::milliseconds(100);  // after an action for which there was no memory
constexpr int k_tries = 50;                               // then the others are worth more
constexpr auto k_stray_pause = std::chrono::milliseconds(5);

// A client's signal must not come twice; the ending's SIGTERM may.
bool may_be_repeated(const core::Action& action) {
    const auto* signal = std::get_if<core::SendSignal>(&action);
    return !signal || signal->resume;
}

void turn_away(uid_t uid, int fd, const std::string& why) {
    const proto::WireError error{proto::ErrorKind::limit, why, proto::OrderedJson::object()};
    (void)send_with_fds(fd, proto::error_line("null", error), {});
    sys::discard_input(uid, fd);
}

api::Self describe_self(const RuntimeConfig& config, const sys::Containment& containment) {
    return api::Self{config.version, sys::own_pid(), sys::own_uid(), sys::boot_id(),
                     containment.kind() + ": " + containment.description()};
}

}  // namespace

Runtime::Runtime(RuntimeConfig config, sys::Listener listener, std::unique_ptr<sys::Containment> containment,
                 UniqueFd signals, sys::LogDirectory logs)
    : config_(std::move(config)),
      self_(describe_self(config_, *containment)),
      own_(own_namespaces()),
      containment_(std::move(containment)),
      logs_(std::make_shared<Logs>(io_, std::move(logs), config_.default_log)),
      children_(io_, *containment_, logs_,
                ChildrenConfig{listener.path(), self_.uid == 0, sys::has_service_manager()},
                [this](core::Event event) { api_.happened(event); }),
      watches_(io_,
               [this](std::uint64_t number) {
                   api_.happened(core::OwnerEnded{{core::OwnerKind::pid, number}});
               }),
      api_(config_.core, *this),
      journal_(io_, config_.journal_path),
      log_readers_(
          io_,
          [this](core::ConnectionId id) {
              Client* const to = client(id);
              return to && to->connection->has_room();
          },
          api_),
      signals_(io_, std::move(signals)),
      service_manager_(io_),
      deadline_(io_),
      farewell_(io_),
      again_(io_) {
    acceptor_ = std::make_unique<Acceptor>(
        io_, std::move(listener), [this](UniqueFd socket) { on_connection(std::move(socket)); },
        [](const std::string& text) { log_warning(text); });
}

Runtime::~Runtime() = default;

bool Runtime::run(const Ready& ready) {
    await_signal();
    service_manager_.ready();
    ready();
    log_info("ready on " + acceptor_->path() + " (" + self_.containment + ")");
    io_.run();
    return !left_to_the_next_;
}

core::Now Runtime::now() const {
    return {std::chrono::steady_clock::now(), std::chrono::system_clock::now()};
}

void Runtime::log(const std::string& text) {
    constexpr std::size_t k_longest = 500;  // what clients say may be as long as a line of theirs
    log_info(text.size() > k_longest ? text.substr(0, k_longest) + "…" : text);
}

// ---- signals ---------------------------------------------------------------------------------------------

void Runtime::await_signal() {
    signals_.on_readable([this] {
        while (const auto signal = sys::read_signal(signals_.fd())) {
            if (*signal == SIGCHLD) {
                sys::reap_orphans([this](pid_t pid) {
                    return children_.is_main(pid) ||
                           (upgrade_ && upgrade_->check && upgrade_->check->is_child(pid));
                });
                continue;
            }
            if (*signal == SIGUSR1) return leave_to_the_next();
            if (*signal == SIGUSR2) {
                const auto begun = upgrade("", {});
                if (!begun) log_warning("upgrade: " + begun.refusal().message);
                continue;
            }
            log_info("told to stop by signal " + std::to_string(*signal));
            api_.happened(core::StopSignal{*signal});
        }
        await_signal();
    });
}

// The next procd on this socket goes on with everything, as after a kill.
void Runtime::leave_to_the_next() {
    log_info("leaves everything to the procd that starts next, as signal " + std::to_string(SIGUSR1) +
             " asks");
    journal_.write();
    left_to_the_next_ = true;
    io_.stop();
}

// ---- actions ---------------------------------------------------------------------------------------------

// What an action leads to at once comes after what was decided before it.
void Runtime::perform(core::Actions actions) {
    // Before anything is done, or told: a procd that is killed in the middle of it knows what it was at.
    guarded([this] { journal_.write(); });
    for (core::Action& action : actions) actions_.push_back(std::move(action));
    if (std::exchange(performing_, true)) return;
    while (!actions_.empty()) {
        // It, and what was decided after it, is tried again: no memory for a moment leaves nothing undone.
        if (!guarded([this] { carry_out(actions_.front()); }) && may_be_repeated(actions_.front()) &&
            ++tries_ < k_tries) {
            again_.set(now().mono + k_again, [this] { perform({}); });
            break;
        }
        const auto* launch = tries_ == k_tries ? std::get_if<core::Launch>(&actions_.front()) : nullptr;
        const auto given_up = launch ? std::optional(launch->id) : std::nullopt;
        tries_ = 0;
        actions_.pop_front();
        if (given_up) api_.happened(core::LaunchFailed{*given_up, {"prepare", ENOMEM, false}});
    }
    performing_ = false;
    go_if_still();
    service_manager_.living(api_.core().active());
    if (api_.core().stopping()) service_manager_.stopping();
    deadline_.set(api_.core().next_deadline(), [this] { api_.happened(core::Tick{}); });
    if (half_closed_.empty() || std::exchange(closing_, true)) return;
    // Not from here: closing one performs what follows from it.
    later(io_, [this] {
        closing_ = false;
        const std::vector<core::ConnectionId> waiting(half_closed_.begin(), half_closed_.end());
        for (const core::ConnectionId id : waiting) close_if_done(id);
    });
}

void Runtime::carry_out(const core::Action& action) {
    if (const auto* forget = std::get_if<core::Forget>(&action)) {
        for (const std::string& log : {forget->log, forget->log_stderr})
            if (!log.empty()) logs_->remove(log);
    } else if (const auto* report = std::get_if<core::Report>(&action)) {
        log_warning(report->text);
    } else if (const auto* stop = std::get_if<core::StopWatching>(&action)) {
        watches_.rest(stop->owner.number, stop->forget);
    } else if (std::holds_alternative<core::Leave>(action)) {
        leave();
    } else {
        std::visit(
            [this](const auto& one) {
                if constexpr (requires { children_.carry_out(one); }) children_.carry_out(one);
            },
            action);
    }
}

// Everything of ours has ended. What could not be attributed goes now, the last answers go out, and that is
// the end.
void Runtime::leave() {
    if (std::exchange(leaving_, true)) return;
    acceptor_.reset();
    // First, so that procd leaves whatever becomes of the strays.
    farewell_.set(now().mono + 2 * k_farewell, [this] { io_.stop(); });
    guarded([this] { end_strays(now().mono + k_farewell); });
}

// Who was started by a stray is procd's own child once that has gone, and a stray, too: until nobody is
// found.
void Runtime::end_strays(core::Mono until) {
    const std::size_t strays = containment_->kill_strays();
    if (strays > 0) log_warning(std::to_string(strays) + " strays ended");
    if (strays > 0 && now().mono < until)
        return farewell_.set(now().mono + k_stray_pause, [this, until] { end_strays(until); });
    const auto stop = [this] { io_.stop(); };
    farewell_.set(now().mono + k_farewell, stop);
    later(io_, [this, stop] {
        // Behind the answers that are queued already.
        later(io_, [this, stop] {
            const bool quiet = std::all_of(clients_.begin(), clients_.end(),
                                           [](const auto& entry) { return entry.second.connection->idle(); });
            if (quiet && log_readers_.none()) stop();
        });
    });
}

// ---- connections -----------------------------------------------------------------------------------------

Runtime::Client* Runtime::client(core::ConnectionId id) {
    const auto found = clients_.find(id);
    return found == clients_.end() ? nullptr : &found->second;
}

void Runtime::on_connection(UniqueFd socket) {
    auto peer = sys::peer_of(socket.get());
    if (!peer) return log_warning(peer.error().message());
    const uid_t uid = peer->uid;
    const auto others = connections_of_.find(uid);
    const std::size_t count = others == connections_of_.end() ? 0 : others->second;
    if (count >= config_.max_connections && uid != 0 && uid != self_.uid)
        return turn_away(uid, socket.get(),
                         "user " + std::to_string(uid) + " has " + std::to_string(count) +
                             " connections, the most that one may have");
    UniqueFd early_pidfd;
    if (!sys::supports_peer_pidfd())
        if (auto pidfd = sys::peer_pidfd(socket.get(), *peer)) early_pidfd = std::move(*pidfd);
    Client* const entry = add_client(next_connection_++, std::move(socket), std::move(*peer));
    if (!entry) return;
    entry->early_pidfd = std::move(early_pidfd);
    entry->connection->start();
}

// Null: it cannot be watched, and was told so.
Runtime::Client* Runtime::add_client(core::ConnectionId id, UniqueFd socket, sys::Peer peer) {
    const uid_t uid = peer.uid;
    const pid_t pid = peer.pid;
    Connection::Handlers handlers;
    handlers.on_request = [this](Connection& from, const Connection::Request& request) {
        return on_request(from, request);
    };
    handlers.on_half_closed = [this](Connection& from) {
        half_closed_.insert(from.id());
        // Not from inside one of its own functions.
        later(io_, [this, from_id = from.id()] { close_if_done(from_id); });
    };
    handlers.on_room = [this](Connection& to) { log_readers_.go_on(to.id()); };
    handlers.on_closed = [this](Connection& closed) { on_closed(closed); };
    auto connection = std::make_shared<Connection>(io_, id, std::move(socket), std::move(peer),
                                                   descriptors_of(uid), std::move(handlers));
    if (const auto& problem = connection->problem()) {
        turn_away(uid, connection->socket(), "procd cannot watch one more connection: " + problem->message());
        return nullptr;
    }
    ++connections_of_[uid];
    connections_by_pid_[pid].insert(id);
    Client& entry = clients_[id];
    entry.connection = std::move(connection);
    return &entry;
}

// One that is nobody's any more is let go when the next is made.
std::shared_ptr<DescriptorCount> Runtime::descriptors_of(std::uint32_t uid) {
    if (const auto known = descriptors_of_.find(uid); known != descriptors_of_.end()) return known->second;
    std::erase_if(descriptors_of_, [](const auto& entry) { return entry.second.use_count() == 1; });
    const bool unlimited = uid == 0 || uid == self_.uid;
    const std::size_t most = unlimited ? std::numeric_limits<std::size_t>::max() : config_.max_descriptors;
    return descriptors_of_[uid] = std::make_shared<DescriptorCount>(uid, most);
}

bool Runtime::on_request(Connection& connection, const Connection::Request& request) {
    if (!request.too_long && waits_for_upgrade(connection.id())) return false;
    const sys::Peer& peer = connection.peer();
    const api::Peer from{connection.id(), peer.uid, peer.pid};
    if (request.too_long) {
        api_.refuse_line(from, {proto::ErrorKind::too_large,
                                "a request has at most " + std::to_string(proto::k_max_line_bytes) + " bytes",
                                proto::OrderedJson::object()});
    } else if (!request.truncated.empty()) {
        api_.refuse_descriptors(from, request.line, request.truncated);
    } else {
        try {
            return api_.handle(from, request.line, request.descriptors, connection.hung_up());
        } catch (const std::bad_alloc&) {
            api_.refuse_line(from, {proto::ErrorKind::limit, "procd has no memory for this request (ENOMEM)",
                                    proto::OrderedJson::object()});
        } catch (const std::exception& error) {  // a fault of procd's: once is enough
            log_error(std::string("a request was left undone: ") + error.what());
            api_.refuse_line(from, {proto::ErrorKind::limit, "procd failed in this request, see its log",
                                    proto::OrderedJson::object()});
        }
    }
    return true;
}

void Runtime::resume(core::ConnectionId connection) {
    if (Client* const held = client(connection)) held->connection->resume();
}

void Runtime::on_closed(Connection& connection) {
    const core::ConnectionId id = connection.id();
    const auto count = connections_of_.find(connection.peer().uid);
    if (--count->second == 0) connections_of_.erase(count);
    if (const auto same = connections_by_pid_.find(connection.peer().pid);
        same != connections_by_pid_.end()) {
        same->second.erase(id);
        if (same->second.empty()) connections_by_pid_.erase(same);
    }
    half_closed_.erase(id);
    clients_.erase(id);
    api_.connection_closed(id);
}

// A client that will send no more, and to whom nothing is owed, is gone; but not while something belongs to
// it.
void Runtime::close_if_done(core::ConnectionId id) {
    Client* const entry = client(id);
    if (!entry || !entry->connection->half_closed() || !entry->connection->idle() || api_.owes(id)) return;
    if (is_upgrading_for(id)) return;
    entry->connection->close();
}

void Runtime::send(core::ConnectionId connection, std::string line, core::ResourcePtr descriptor) {
    if (Client* const to = client(connection)) to->connection->send(std::move(line), std::move(descriptor));
}

bool Runtime::read_log(api::LogId log, core::ConnectionId connection, api::LogRequest request) {
    // What root reads for a user must be that user's. Any other procd may read what it may read.
    std::optional<uid_t> owner;
    if (self_.uid == 0) owner = request.uid;
    return log_readers_.read(log, connection, request, owner);
}

bool Runtime::send_event(core::ConnectionId connection, const std::string& line) {
    Client* const to = client(connection);
    if (!to || !to->connection->keeps_up()) return false;
    to->connection->send(line, nullptr);
    return true;
}

}  // namespace procd::loop
