#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "daemon/loop/children.hpp"

namespace procd::loop {

// How often a tree is counted that is expected to become empty, where nothing tells.
constexpr auto k_first_poll = std::chrono::milliseconds(5);

// What the loop holds of one process.
struct Children::Child {
    explicit Child(asio::io_context& io) : poll(io) {}
    std::shared_ptr<Launching> launching;  // until the child runs
    std::unique_ptr<Readiness> pidfd;      // until it was reaped
    pid_t pid = 0;
    uid_t uid = 0;
    bool taken_back = false;              // another's child: its exit is not procd's to reap
    bool unknown = false;                 // to the core: what is left of it is killed
    std::optional<core::Mono> seen_dead;  // and not reaped by whose it is
    std::unique_ptr<Readiness> tree;      // cgroup.events, while the tree is expected to become empty
    bool tree_armed = false;
    Alarm poll;
    core::Duration next_poll = k_first_poll;
    std::vector<ChildLog> logs;
    std::size_t draining = 0;  // pipes to logs that are not empty yet
    bool drained = false;
};

}  // namespace procd::loop
