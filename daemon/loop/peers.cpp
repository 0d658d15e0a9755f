#include "daemon/loop/peers.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "daemon/loop/shortage.hpp"
#include "daemon/sys/pidfd.hpp"
#include "daemon/sys/process_self.hpp"
#include "daemon/sys/procfs.hpp"

namespace procd::loop {
namespace {

core::Outcome<std::optional<api::Watched>> nobody_there(const SysError& error) {
    if (error.is_shortage()) return refuse_for_shortage(error);
    return std::optional<api::Watched>();
}

core::Refusal not_permitted(std::string why) {
    return {core::RefusalKind::not_permitted, std::move(why), {}, {}};
}

// Of a fact about a caller that could not be had.
core::Refusal unknown(const SysError& error, const char* why) {
    return error.is_shortage() ? refuse_for_shortage(error) : not_permitted(why);
}

}  // namespace

core::Outcome<std::optional<api::Watched>> PidWatches::watch(pid_t pid) {
    auto pidfd = sys::open_pidfd(pid);
    if (!pidfd) return nobody_there(pidfd.error());
    return watch(std::move(*pidfd));
}

core::Outcome<std::optional<api::Watched>> PidWatches::watch(UniqueFd pidfd) {
    const auto pid = sys::pid_of(pidfd.get());
    if (!pid) return nobody_there(pid.error());
    const auto stat = sys::read_stat(*pid);
    if (!stat) return nobody_there(stat.error());
    const auto uid = sys::effective_uid_of(*pid);
    if (!uid) return nobody_there(uid.error());
    // Only now: what was read is this process's, if it still lives.
    if (sys::has_exited(pidfd.get())) return std::optional<api::Watched>();
    const Identity identity{*pid, stat->start_time};
    const auto [known, is_new] = by_identity_.try_emplace(identity, next_);
    if (is_new) ++next_;
    const std::uint64_t number = known->second;
    Entry& entry = enter(number, *stat, *uid);
    if (!entry.pidfd) {
        entry.pidfd = std::make_unique<Readiness>(io_, std::move(pidfd));
        if (const auto problem = entry.pidfd->problem()) {
            rest(number, is_new);
            return refuse_for_shortage(*problem);
        }
        entry.pidfd->on_readable([this, number] { ended(number); });
    }
    return std::optional(entry.watched);
}

PidWatches::Entry& PidWatches::enter(std::uint64_t number, const sys::ProcessStat& stat, uid_t uid) {
    Entry& entry = entries_[number];
    entry.identity = {stat.pid, stat.start_time};
    entry.watched = api::Watched{number, {stat.pid, stat.comm, stat.start_time}, uid};
    return entry;
}

bool PidWatches::take_back(std::uint64_t number, const core::OwnerFacts& facts, bool owns) {
    next_ = std::max(next_, number + 1);
    const auto pid = static_cast<pid_t>(facts.pid);
    auto pidfd = sys::open_pidfd(pid);
    const auto stat = sys::read_stat(pid);
    const auto uid = sys::effective_uid_of(pid);
    if (!pidfd || !stat || !uid || stat->start_time != facts.start_time || sys::has_exited(pidfd->get()))
        return false;
    Entry& entry = enter(number, *stat, *uid);
    by_identity_[entry.identity] = number;
    if (!owns) return true;
    entry.pidfd = std::make_unique<Readiness>(io_, std::move(*pidfd));
    entry.pidfd->on_readable([this, number] { ended(number); });
    return true;
}

void PidWatches::rest(std::uint64_t number, bool forget) {
    const auto found = entries_.find(number);
    if (found == entries_.end()) return;
    found->second.pidfd.reset();
    if (!forget) return;
    by_identity_.erase(found->second.identity);
    entries_.erase(found);
}

void PidWatches::ended(std::uint64_t number) {
    const auto found = entries_.find(number);
    by_identity_.erase(found->second.identity);
    entries_.erase(found);
    on_end_(number);
}

namespace {

constexpr std::array k_namespaces{"user", "mnt", "pid"};

}  // namespace

OwnNamespaces own_namespaces() {
    OwnNamespaces own;
    const pid_t self = sys::own_pid();
    for (const char* kind : k_namespaces)
        if (const auto inode = sys::namespace_of(self, kind)) own.inodes[kind] = *inode;
    if (const auto restrictions = sys::restrictions_of(self)) {
        own.seccomp = restrictions->seccomp != 0;
        own.no_new_privs = restrictions->no_new_privs;
    }
    return own;
}

core::Outcome<core::Identity> identity_of(const sys::Peer& peer, const OwnNamespaces& own,
                                          bool allow_confined) {
    core::Identity identity;
    identity.uid = peer.uid;
    identity.gid = peer.gid;
    identity.groups.assign(peer.groups.begin(), peer.groups.end());
    const auto restrictions = sys::restrictions_of(peer.pid);
    if (!restrictions)
        return unknown(restrictions.error(), "the caller has ended, so what it may do is not known");
    identity.no_new_privs = restrictions->no_new_privs && !own.no_new_privs;
    if (allow_confined) return identity;
    if (restrictions->seccomp != 0 && !own.seccomp)
        return not_permitted("the caller is confined by seccomp, and its child would not be");
    for (const auto& [kind, inode] : own.inodes) {
        const auto callers = sys::namespace_of(peer.pid, kind);
        if (!callers) return unknown(callers.error(), "the caller's namespaces cannot be read");
        if (*callers != inode)
            return not_permitted("the caller is in another " + kind +
                                 " namespace, and its child would not be");
    }
    return identity;
}

}  // namespace procd::loop
