#include <algorithm>
#include <charconv>

#include "daemon/loop/descriptor.hpp"
#include "daemon/loop/runtime.hpp"
#include "daemon/loop/shortage.hpp"
#include "daemon/sys/descriptors.hpp"
#include "daemon/sys/limits.hpp"
#include "daemon/sys/pidfd.hpp"
#include "daemon/sys/process_self.hpp"
#include "daemon/sys/procfs.hpp"
#include "daemon/sys/users.hpp"

// The kernel facts that requests ask for: who the peer is, where it runs, when it ends.
namespace procd::loop {

core::OwnerFacts Runtime::peer(core::ConnectionId connection) {
    const Client* const from = client(connection);
    if (!from) return {};
    const pid_t pid = from->connection->peer().pid;
    return {pid, sys::comm_of(pid)};
}

core::Outcome<std::optional<core::ProcessId>> Runtime::enclosing(core::ConnectionId connection) {
    Client* const from = client(connection);
    if (!from) return std::optional<core::ProcessId>();
    if (!from->enclosing) {
        auto tree = containment_->tree_of(from->connection->peer().pid);
        if (!tree) return refuse_for_shortage(tree.error());
        from->enclosing = *tree;
    }
    const auto id = *from->enclosing;
    return id && api_.core().find(*id) ? id : std::nullopt;
}

core::Outcome<bool> Runtime::may_signal(core::ProcessId process, core::UserId uid) {
    const core::Process* const record = api_.core().find(process);
    if (!record || !record->alive()) return true;
    const auto may = sys::may_signal(static_cast<pid_t>(record->pid), uid);
    if (!may && may.error().is_shortage()) return refuse_for_shortage(may.error());
    return !may || *may;
}

core::Outcome<bool> Runtime::runs_in_launch(core::ConnectionId connection) {
    const Client* const from = client(connection);
    // What it runs in does not change any more once that was found.
    if (!from || (from->enclosing && *from->enclosing)) return false;
    const std::vector<pid_t> launching = children_.launching();
    constexpr int k_deepest = 1000;
    pid_t pid = from->connection->peer().pid;
    for (int depth = 0; pid > 1 && depth < k_deepest; ++depth) {
        if (std::find(launching.begin(), launching.end(), pid) != launching.end()) return true;
        const auto stat = sys::read_stat(pid);
        if (!stat && stat.error().is_shortage()) return refuse_for_shortage(stat.error());
        if (!stat || stat->ppid == sys::own_pid()) break;
        pid = stat->ppid;
    }
    return false;
}

std::optional<core::SessionId> Runtime::newest_session_of(pid_t pid) {
    std::optional<core::SessionId> newest;
    const auto connections = connections_by_pid_.find(pid);
    if (connections == connections_by_pid_.end()) return newest;
    for (const core::ConnectionId connection : connections->second) {
        const auto& held = api_.core().sessions_held_by(connection);
        if (!held.empty() && (!newest || *newest < *held.rbegin())) newest = *held.rbegin();
    }
    return newest;
}

core::Outcome<std::optional<core::SessionId>> Runtime::session_around(core::ConnectionId connection) {
    const Client* const from = client(connection);
    const std::optional<core::SessionId> none;
    if (!from || !api_.core().has_sessions()) return none;
    constexpr int k_deepest = 1000;
    pid_t pid = from->connection->peer().pid;
    for (int depth = 0; pid > 1 && depth < k_deepest; ++depth) {
        const auto stat = sys::read_stat(pid);
        if (!stat && stat.error().is_shortage()) return refuse_for_shortage(stat.error());
        if (!stat) break;
        pid = stat->ppid;
        if (const auto session = newest_session_of(pid)) return session;
    }
    return none;
}

core::Outcome<bool> Runtime::watch_peer(core::ConnectionId connection) {
    Client* const from = client(connection);
    if (!from || from->peer_ended) return false;
    if (from->pidfd) return true;
    UniqueFd pidfd = std::move(from->early_pidfd);
    if (!pidfd) {
        auto opened = sys::peer_pidfd(from->connection->socket(), from->connection->peer());
        if (!opened && opened.error().is_shortage()) return refuse_for_shortage(opened.error());
        if (opened) pidfd = std::move(*opened);
    }
    if (!pidfd || sys::has_exited(pidfd.get())) {
        from->peer_ended = true;
        return false;
    }
    watch_client(connection, *from, std::move(pidfd));
    return true;
}

void Runtime::watch_client(core::ConnectionId connection, Client& watched, UniqueFd pidfd) {
    watched.pidfd = std::make_unique<Readiness>(io_, std::move(pidfd));
    watched.pidfd->on_readable([this, connection] {
        if (Client* const ended = client(connection)) {
            ended->peer_ended = true;
            ended->pidfd.reset();
        }
        api_.happened(core::OwnerEnded{{core::OwnerKind::connection, connection}});
    });
}

core::Outcome<core::Identity> Runtime::identity(core::ConnectionId connection) {
    const Client* const from = client(connection);
    const auto refuse = [](std::string why) {
        return core::Refusal{core::RefusalKind::not_permitted, std::move(why), {}, {}};
    };
    if (!from) return refuse("the connection is closed");
    // A user's own procd starts everything as that user.
    if (self_.uid != 0) return core::Identity{self_.uid, sys::own_gid(), {}, false};
    // A pid may be another's by now: what was read of it counts only if the peer still lives after that.
    const core::Refusal gone = refuse("the caller has ended, so what it may do is not known");
    const auto lives = watch_peer(connection);
    if (!lives) return lives.refusal();
    if (!*lives) return gone;
    auto identity = identity_of(from->connection->peer(), own_, config_.allow_confined);
    if (!from->pidfd || sys::has_exited(from->pidfd->fd())) return gone;
    return identity;
}

core::Outcome<std::vector<core::ResourceLimit>> Runtime::limits(core::ConnectionId connection) {
    const Client* const from = client(connection);
    auto limits = sys::limits_of(from ? from->connection->peer().pid : sys::own_pid());
    const bool own = !limits;
    if (own && limits.error().is_shortage()) return refuse_for_shortage(limits.error());
    if (own) limits = sys::limits_of(sys::own_pid());
    std::vector<core::ResourceLimit> result;
    if (!limits) return result;
    for (const sys::ResourceLimit& limit : *limits) {
        // procd has raised its own number of descriptors; that is not for children.
        const sys::ResourceLimit& shown =
            own && limit.resource == config_.nofile.resource ? config_.nofile : limit;
        result.push_back({std::string(sys::name_of_resource(shown.resource)), shown.soft, shown.hard, true});
    }
    return result;
}

std::optional<core::Identity> Runtime::user(const std::string& name) {
    std::optional<sys::UserInfo> user = sys::user_named(name);
    if (!user) {
        uid_t number = 0;
        const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), number);
        if (error == std::errc() && stop == name.data() + name.size()) user = sys::user_of(number);
    }
    if (!user) return std::nullopt;
    const std::vector<gid_t> groups = sys::groups_of(*user);
    return core::Identity{user->uid, user->gid, {groups.begin(), groups.end()}, false};
}

std::string Runtime::comm(std::int64_t pid) {
    return sys::comm_of(static_cast<pid_t>(pid));
}

core::Outcome<std::optional<api::Watched>> Runtime::watch_pid(std::int64_t pid) {
    return watches_.watch(static_cast<pid_t>(pid));
}

core::Outcome<bool> Runtime::is_pidfd(const core::ResourcePtr& descriptor) const {
    const auto is_pidfd = sys::is_pidfd(fd_of(descriptor));
    if (!is_pidfd && is_pidfd.error().is_shortage()) return refuse_for_shortage(is_pidfd.error());
    return is_pidfd && *is_pidfd;
}

core::Outcome<core::ResourcePtr> Runtime::sentinel(core::ConnectionId connection, core::ProcessId process) {
    const Client* const to = client(connection);
    const auto count = descriptors_of(to ? to->connection->peer().uid : self_.uid);
    if (!count->has_room(1)) return core::Refusal{core::RefusalKind::limit, count->problem(), {}, {}};
    auto fd = children_.sentinel(process);
    if (!fd) return refuse_for_shortage(fd.error());
    return hold(std::move(*fd), count);
}

core::Outcome<std::optional<api::Watched>> Runtime::watch_pidfd(const core::ResourcePtr& pidfd) {
    // A descriptor of our own: the reactor's flags would show in the caller's, which is the same open file.
    const std::optional<api::Watched> nobody;
    const auto pid = sys::pid_of(fd_of(pidfd));
    if (!pid && pid.error().is_shortage()) return refuse_for_shortage(pid.error());
    if (!pid) return nobody;
    auto own = sys::open_pidfd(*pid);
    if (!own && own.error().is_shortage()) return refuse_for_shortage(own.error());
    if (!own || sys::has_exited(fd_of(pidfd))) return nobody;
    return watches_.watch(std::move(*own));
}

}  // namespace procd::loop
