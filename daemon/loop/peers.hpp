#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include <asio/io_context.hpp>

#include "daemon/api/host.hpp"
#include "daemon/loop/readiness.hpp"
#include "daemon/sys/peer.hpp"
#include "daemon/sys/procfs.hpp"

namespace procd::loop {

// Processes that own something and are not procd's children: watched by pidfd, so that their end is noticed
// however it comes, and no other process is ever taken for them. Each watch has a number of its own, never
// used again.
class PidWatches {
  public:
    using OnEnd = std::function<void(std::uint64_t number)>;

    PidWatches(asio::io_context& io, OnEnd on_end) : io_(io), on_end_(std::move(on_end)) {}

    // None: there is no such process, or it has ended.
    core::Outcome<std::optional<api::Watched>> watch(pid_t pid);
    core::Outcome<std::optional<api::Watched>> watch(UniqueFd pidfd);
    // One that an earlier procd kept under this number. owns: its end is to be noticed. False: it has ended.
    bool take_back(std::uint64_t number, const core::OwnerFacts& facts, bool owns);
    // Its end need not be noticed any more; the number stays its own, but where it is to be forgotten.
    void rest(std::uint64_t number, bool forget);

  private:
    using Identity = std::pair<pid_t, std::uint64_t>;  // pid and start time
    struct Entry {
        Identity identity;
        api::Watched watched;
        std::unique_ptr<Readiness> pidfd;  // null: resting
    };
    Entry& enter(std::uint64_t number, const sys::ProcessStat& stat, uid_t uid);
    void ended(std::uint64_t number);

    asio::io_context& io_;
    OnEnd on_end_;
    std::uint64_t next_ = 1;
    std::map<std::uint64_t, Entry> entries_;
    std::map<Identity, std::uint64_t> by_identity_;
};

// What procd is, to compare its callers with.
struct OwnNamespaces {
    std::map<std::string, std::uint64_t> inodes;  // user, mnt, pid
    bool seccomp = false;
    bool no_new_privs = false;
};
OwnNamespaces own_namespaces();

// Who a child of this caller would be; or why a procd of root's starts nothing for it: what is confined in
// namespaces or by seccomp would get out that way.
core::Outcome<core::Identity> identity_of(const sys::Peer& peer, const OwnNamespaces& own,
                                          bool allow_confined);

}  // namespace procd::loop
