#include "daemon/sys/log_keeper.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <new>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/statfs.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <variant>
#include <vector>

namespace procd::sys {
namespace {

using Clock = std::chrono::steady_clock;

// Looks that are not urgent happen together: fewer wake-ups.
constexpr std::chrono::milliseconds k_grid{50};
// Watches of finished logs are given back together: each one given back wakes the thread.
constexpr std::size_t k_stale_watches = 128;
constexpr std::chrono::milliseconds k_without_memory{100};  // before a turn that found none is tried again

Clock::time_point on_grid(Clock::time_point at) {
    const auto since = at.time_since_epoch();
    return Clock::time_point(((since + k_grid - Clock::duration(1)) / k_grid) * k_grid);
}

struct Entry {
    TrimmedLog log;
    int watch = -1;          // armed: the next write is told
    bool written = false;    // ever, as far as is known
    bool looked_at = false;  // by the timer, until it is idle
    bool finished = false;   // nobody writes any more
    LogPace pace{};
    Clock::time_point last_look{}, due{};
};

struct Finish {
    std::shared_ptr<Entry> entry;
};
struct Remove {
    std::string path;
};
using Command = std::variant<Finish, Remove>;

}  // namespace

struct LogKeeper::State {
    State(const LogDirectory& where, LogFeatures features, LogComplaints::Say say)
        : directory(where), cutter(features), complaints(std::move(say)) {
        wake_up.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (features.inotify) inotify.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    }

    const LogDirectory& directory;
    LogCutter cutter;           // the thread's
    LogComplaints complaints;   // the thread's
    std::deque<Command> asked;  // the thread's: taken, and not carried out yet
    UniqueFd wake_up, inotify;
    std::thread thread;

    std::mutex lock;  // of all below
    std::map<Ticket, std::shared_ptr<Entry>> logs;
    std::map<int, std::shared_ptr<Entry>> watched;
    std::vector<std::shared_ptr<Entry>> active;  // looked at by the timer
    std::deque<Command> commands;
    std::vector<int> stale;  // watches of logs that were let go
    Ticket next = 1;
    bool stopping = false;
    bool missed = false;  // an event that was read may not have been heard

    void wake() const {
        const std::uint64_t one = 1;
        (void)static_cast<bool>(::write(wake_up.get(), &one, sizeof one) == sizeof one);
    }
    // These hold the lock.
    bool arm(const std::shared_ptr<Entry>& entry);
    void activate(const std::shared_ptr<Entry>& entry, Clock::time_point now);
    void let_go(Entry& entry);
    bool read_events(Clock::time_point now);  // whether there were any
    void look_at_all(Clock::time_point now);  // who wrote was not told: all are looked at, and armed anew
    // These do not.
    void run();
    bool turn();  // false: it was the last
    void sleep();
    void carry_out(const Command& command);
    void look(const std::shared_ptr<Entry>& entry, Clock::time_point last_look);
    void check_space(const Entry& entry);
};

// ---- asked for -------------------------------------------------------------------------------------------

LogKeeper::LogKeeper(const LogDirectory& directory, LogFeatures features, LogComplaints::Say say)
    : state_(std::make_shared<State>(directory, features, std::move(say))) {
    state_->thread = std::thread([state = state_.get()] { state->run(); });
}

LogKeeper::~LogKeeper() {
    {
        const std::lock_guard guard(state_->lock);
        state_->stopping = true;
    }
    state_->wake();
    state_->thread.join();
}

LogKeeper::Ticket LogKeeper::add(std::shared_ptr<const UniqueFd> fd, std::string path, uid_t uid, gid_t gid,
                                 LogLimits limits) {
    if (limits.max == 0) return 0;
    auto entry = std::make_shared<Entry>(Entry{TrimmedLog(std::move(fd), std::move(path), uid, gid, limits)});
    const std::lock_guard guard(state_->lock);
    const Ticket ticket = state_->next++;
    state_->logs.emplace(ticket, entry);
    if (!state_->arm(entry)) {
        state_->activate(entry, Clock::now());
        state_->wake();
    }
    return ticket;
}

void LogKeeper::finish(Ticket ticket) {
    std::shared_ptr<Entry> entry;  // closed when the lock is free again
    const std::lock_guard guard(state_->lock);
    const auto found = state_->logs.find(ticket);
    if (found == state_->logs.end()) return;
    entry = found->second;
    // A write of the last moment may not have been heard of yet.
    if (!entry->written && state_->read_events(Clock::now())) state_->wake();
    if (entry->written) {
        state_->commands.push_back(Finish{entry});
        state_->logs.erase(found);
        state_->wake();
        return;
    }
    state_->let_go(*entry);
    state_->logs.erase(found);
    if (state_->stale.size() >= k_stale_watches) state_->wake();
}

void LogKeeper::remove(std::string path) {
    const std::lock_guard guard(state_->lock);
    state_->commands.push_back(Remove{std::move(path)});
    state_->wake();
}

// ---- with the lock held ----------------------------------------------------------------------------------

// Whether the next write will be told.
bool LogKeeper::State::arm(const std::shared_ptr<Entry>& entry) {
    if (!inotify) return false;
    const std::string path = "/proc/self/fd/" + std::to_string(entry->log.fd());
    entry->watch = ::inotify_add_watch(inotify.get(), path.c_str(), IN_MODIFY | IN_ONESHOT);
    if (entry->watch < 0) return false;  // the user has no watch left, or there is no /proc: by timer alone
    watched[entry->watch] = entry;
    return true;
}

void LogKeeper::State::activate(const std::shared_ptr<Entry>& entry, Clock::time_point now) {
    if (!entry->looked_at) active.push_back(entry);  // first, as it may find no memory
    entry->looked_at = true;
    entry->written = true;
    entry->pace.wake();
    entry->last_look = now;
    entry->due = now + LogPace::k_shortest;
}

void LogKeeper::State::let_go(Entry& entry) {
    entry.finished = true;
    if (entry.watch >= 0) {
        watched.erase(entry.watch);
        stale.push_back(std::exchange(entry.watch, -1));
    }
    const auto same = [&](const std::shared_ptr<Entry>& other) { return other.get() == &entry; };
    if (std::exchange(entry.looked_at, false)) std::erase_if(active, same);
}

void LogKeeper::State::look_at_all(Clock::time_point now) {
    missed = true;
    while (!watched.empty()) {
        const auto first = watched.begin();
        stale.push_back(first->first);
        activate(first->second, now);
        first->second->watch = -1;
        watched.erase(first);
    }
    missed = false;
}

bool LogKeeper::State::read_events(Clock::time_point now) {
    bool any = false;
    if (missed) look_at_all(now);
    alignas(inotify_event) std::array<char, 16 * 1024> buffer;
    for (;;) {
        const ssize_t got = inotify ? ::read(inotify.get(), buffer.data(), buffer.size()) : 0;
        if (got <= 0) return any;
        any = true;
        missed = true;  // until all of them were heard
        for (ssize_t at = 0; at < got;) {
            const auto* const event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
            at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
            if ((event->mask & IN_Q_OVERFLOW) != 0) look_at_all(now);
            const auto found = watched.find(event->wd);
            if (found == watched.end()) continue;
            const auto entry = found->second;
            activate(entry, now);
            watched.erase(found);
            entry->watch = -1;  // it fires once
        }
        missed = false;
    }
}

// ---- the thread ------------------------------------------------------------------------------------------

void LogKeeper::State::sleep() {
    Clock::time_point first = Clock::time_point::max();
    {
        const std::lock_guard guard(lock);
        if (!commands.empty() || stopping) return;
        for (const auto& entry : active) first = std::min(first, entry->due);
    }
    std::array<pollfd, 2> sources{pollfd{wake_up.get(), POLLIN, 0}, pollfd{inotify.get(), POLLIN, 0}};
    timespec limit{};
    if (first != Clock::time_point::max()) {
        const auto left =
            std::max(std::chrono::nanoseconds(0),
                     std::chrono::duration_cast<std::chrono::nanoseconds>(first - Clock::now()));
        limit.tv_sec = static_cast<time_t>(left.count() / 1'000'000'000);
        limit.tv_nsec = static_cast<long>(left.count() % 1'000'000'000);
    }
    ::ppoll(sources.data(), sources.size(), first == Clock::time_point::max() ? nullptr : &limit, nullptr);
    std::uint64_t count = 0;
    (void)static_cast<bool>(::read(wake_up.get(), &count, sizeof count) == sizeof count);
}

void LogKeeper::State::run() {
    ::pthread_setname_np(::pthread_self(), "log-keeper");
    for (bool more = true; more;) {
        try {
            more = turn();
        } catch (const std::bad_alloc&) {
            // What was asked for is still there, and so is what is due.
            std::this_thread::sleep_for(k_without_memory);
        }
    }
}

bool LogKeeper::State::turn() {
    if (asked.empty()) sleep();
    std::vector<std::pair<std::shared_ptr<Entry>, Clock::time_point>> due;  // with the last look at it
    std::vector<int> unneeded;
    bool last = false;
    {
        const std::lock_guard guard(lock);
        const auto now = Clock::now();
        read_events(now);
        if (asked.empty()) asked.swap(commands);
        unneeded.swap(stale);
        last = stopping && commands.empty();
        for (const auto& entry : active)
            if (entry->due <= now) due.emplace_back(entry, entry->last_look);
    }
    for (const int watch : unneeded) ::inotify_rm_watch(inotify.get(), watch);
    for (; !asked.empty(); asked.pop_front()) carry_out(asked.front());
    if (last) return false;
    for (const auto& [entry, last_look] : due) look(entry, last_look);
    return true;
}

void LogKeeper::State::carry_out(const Command& command) {
    if (const auto* finish = std::get_if<Finish>(&command)) {
        if (finish->entry->log.look(directory, cutter, complaints)) check_space(*finish->entry);
        const std::lock_guard guard(lock);
        let_go(*finish->entry);
    } else {
        directory.remove(std::get<Remove>(command).path);
    }
}

void LogKeeper::State::look(const std::shared_ptr<Entry>& entry, Clock::time_point last_look) {
    const auto seen = entry->log.look(directory, cutter, complaints, Clock::now() - last_look);
    if (seen) check_space(*entry);
    const std::lock_guard guard(lock);
    if (!seen) return let_go(*entry);
    const auto now = Clock::now();
    const auto pause = entry->pace.next(seen->used, seen->grown, now - last_look, seen->limit);
    entry->last_look = now;
    entry->due = pause < 2 * k_grid ? now + pause : on_grid(now + pause);
    // Armed first, and looked at once more: a byte in between is not missed.
    if (entry->watch < 0 && entry->pace.is_quiet() && !arm(entry)) entry->watch = -1;
    const bool idle = entry->watch >= 0 && entry->pace.is_quiet() && entry->log.is_at_rest();
    if (!idle) return;
    entry->looked_at = false;
    std::erase(active, entry);
}

void LogKeeper::State::check_space(const Entry& entry) {
    struct statfs status {};
    if (::fstatfs(entry.log.fd(), &status) != 0 || status.f_blocks == 0) return;
    const std::string topic = "space " + directory.path();
    if (status.f_bavail == 0)
        complaints.complain(topic, "no space is left for logs in " + directory.path() +
                                       ": programs that write to them get ENOSPC");
    else
        complaints.went_well(topic);
}

}  // namespace procd::sys
