#include <algorithm>
#include <string>
#include <utility>

#include "daemon/loop/child.hpp"
#include "daemon/loop/children.hpp"
#include "daemon/sys/pidfd.hpp"
#include "daemon/sys/procfs.hpp"

// What an earlier procd started.
namespace procd::loop {
namespace {

// A descriptor of the process that had this pid when it had that start time, if it is the same still.
UniqueFd pidfd_of(const core::Process& process) {
    const auto pid = static_cast<pid_t>(process.pid);
    if (pid <= 0 || process.start_time == 0) return {};
    auto pidfd = sys::open_pidfd(pid);
    if (!pidfd) return {};
    // First the descriptor, then the look: what was seen is of the process that the descriptor is of, or that
    // one is dead.
    const auto start = sys::start_time(pid);
    return start && *start == process.start_time ? std::move(*pidfd) : UniqueFd();
}

}  // namespace

bool Children::take_back(const core::Process& process, Remains remains) {
    auto& child = *(children_[process.id] = std::make_unique<Child>(io_));
    child.taken_back = !remains.own;
    child.pid = static_cast<pid_t>(process.pid);
    child.uid = process.uid;
    const auto take_log = [&](const std::optional<std::string>& path, UniqueFd pipe) {
        if (!path) return;
        if (auto log = logs_->take_back(*path, process.uid, process.log_spec, std::move(pipe)))
            child.logs.push_back(std::move(*log));
    };
    take_log(process.log, std::move(remains.log_pipe));
    take_log(process.log_stderr, std::move(remains.log_stderr_pipe));
    sys::TreeMain main{child.pid, -1, process.start_time, process.uid};
    UniqueFd pidfd = std::move(remains.pidfd);
    if (process.alive() && !pidfd) {
        pidfd = pidfd_of(process);
        if (pidfd && !containment_.holds(process.id, child.pid, process.uid)) pidfd.reset();
    }
    const bool is_known = !process.alive() || pidfd;
    if (process.alive() && is_known) {
        child.pidfd = std::make_unique<Readiness>(io_, std::move(pidfd));
        main.pidfd = child.pidfd->fd();
        mains_.insert(child.pid);
    }
    containment_.take_back(process.id, main, remains.members);
    if (child.pidfd) await_exit(process.id);
    return is_known;
}

Children::Holdings Children::holdings(const core::Process& process) {
    Holdings holdings;
    const auto found = children_.find(process.id);
    if (found == children_.end()) return holdings;
    Child& child = *found->second;
    if (child.pidfd) holdings.pidfd = child.pidfd->fd();
    for (const ChildLog& log : child.logs) {
        if (log.path == process.log) holdings.log_pipe = logs_->pipe_of(log);
        if (log.path == process.log_stderr) holdings.log_stderr_pipe = logs_->pipe_of(log);
    }
    holdings.members = containment_.known_members(process.id);
    holdings.own = !child.taken_back;
    return holdings;
}

Children::Birth Children::birth_of(const core::Process& process) {
    const sys::FoundMain main = containment_.find_main(process.id, process.uid);
    Birth birth{main.was_born, main.pid, 0, {}, {}};
    const auto start = sys::start_time(birth.pid);
    if (!start) birth.pid = 0;
    birth.start_time = start ? *start : 0;
    birth.log = logs_->find(process.id, process.name, sys::LogKind::output, process.uid);
    birth.log_stderr = logs_->find(process.id, process.name, sys::LogKind::errors, process.uid);
    return birth;
}

void Children::clear(core::ProcessId id, const Birth& birth) {
    for (const auto& log : {birth.log, birth.log_stderr})
        if (log) logs_->remove(*log);
    const auto left = containment_.left_trees();
    if (std::find(left.begin(), left.end(), id) != left.end()) end_unknown(id);
}

void Children::end_unknown(core::ProcessId id) {
    auto& child = *(children_[id] = std::make_unique<Child>(io_));
    child.unknown = true;
    containment_.take_back(id, sys::TreeMain{}, {});
    count(id);
}

}  // namespace procd::loop
