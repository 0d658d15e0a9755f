#include "daemon/sys/log_pump.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <new>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace procd::sys {
namespace {

constexpr std::size_t k_step = 64 * 1024;  // what a pipe holds: each in turn
constexpr int k_events = 64;
constexpr int k_look_without_poll_ms = 20;  // at pipes that the kernel had no room for in the poll
constexpr std::uint64_t k_wake_up = 0;      // in epoll_data; tickets begin at 1

constexpr std::chrono::milliseconds k_without_memory{100};  // before a turn that found none is tried again

}  // namespace

Result<PipeEnds> make_log_pipe(uid_t uid, gid_t gid) {
    auto pipe = make_pipe();
    if (pipe && ::geteuid() == 0 && ::fchown(pipe->write.get(), uid, gid) != 0)
        return SysError{"chown", "a pipe", errno};
    return pipe;
}

struct LogPump::State {
    struct Pipe {
        UniqueFd from;  // none: at its end
        std::shared_ptr<const UniqueFd> to;
        bool listed = true;  // in the poll; else it is looked at again and again
    };
    struct Command {
        Ticket ticket = 0;
        std::shared_ptr<Pipe> added;  // else
        Drained drained;              // else it is finished
    };

    explicit State(LogComplaints::Say say) : complaints(std::move(say)), buffer(k_step) {
        poll.reset(::epoll_create1(EPOLL_CLOEXEC));
        wake_up.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        listen(wake_up.get(), k_wake_up);
    }

    LogComplaints complaints;
    std::vector<char> buffer;
    UniqueFd poll, wake_up;
    std::map<Ticket, std::shared_ptr<Pipe>> pipes;  // the thread's
    std::size_t unlisted = 0;                       // the thread's: of them, those not in the poll
    std::deque<Command> asked;                      // the thread's: taken, and not carried out yet
    std::thread thread;

    std::mutex lock;  // of all below
    std::deque<Command> commands;
    Ticket next = 1;
    bool stopping = false;
    bool hold_wanted = false, stands_still = false;
    std::condition_variable changed;  // of these two

    bool listen(int fd, std::uint64_t ticket) const {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.u64 = ticket;
        return ::epoll_ctl(poll.get(), EPOLL_CTL_ADD, fd, &event) == 0;
    }
    void ask(Command command);
    void ring() const;
    void run();
    bool turn();  // false: it was the last
    void stand_still();
    void carry_out(Command& command);
    ssize_t copy(Pipe& pipe);  // how many bytes; 0: it is empty, below: at its end
    void drain(Pipe& pipe);
    void write_all(const Pipe& pipe, std::size_t size);
};

LogPump::LogPump(LogComplaints::Say say) : state_(std::make_shared<State>(std::move(say))) {
    state_->thread = std::thread([state = state_.get()] { state->run(); });
}

LogPump::~LogPump() {
    {
        const std::lock_guard guard(state_->lock);
        state_->stopping = true;
    }
    state_->ask({});
    state_->thread.join();
}

LogPump::Ticket LogPump::add(UniqueFd pipe, std::shared_ptr<const UniqueFd> log) {
    Ticket ticket = 0;
    {
        const std::lock_guard guard(state_->lock);
        ticket = state_->next++;
    }
    state_->ask({ticket, std::make_shared<State::Pipe>(State::Pipe{std::move(pipe), std::move(log)}), {}});
    return ticket;
}

void LogPump::drain(Ticket ticket, Drained drained) {
    state_->ask({ticket, nullptr, std::move(drained)});
}

void LogPump::finish(Ticket ticket) {
    state_->ask({ticket, nullptr, {}});
}

bool LogPump::hold(std::chrono::milliseconds limit) {
    std::unique_lock guard(state_->lock);
    state_->hold_wanted = true;
    state_->ring();
    if (state_->changed.wait_for(guard, limit, [this] { return state_->stands_still; })) return true;
    state_->hold_wanted = false;
    return false;
}

void LogPump::go_on() {
    const std::lock_guard guard(state_->lock);
    state_->hold_wanted = false;
    state_->changed.notify_all();
}

int LogPump::descriptor(Ticket ticket) const {
    const auto found = state_->pipes.find(ticket);
    return found == state_->pipes.end() ? -1 : found->second->from.get();
}

void LogPump::State::ask(Command command) {
    const std::lock_guard guard(lock);
    commands.push_back(std::move(command));
    ring();
}

void LogPump::State::ring() const {
    const std::uint64_t one = 1;
    (void)static_cast<bool>(::write(wake_up.get(), &one, sizeof one) == sizeof one);
}

// ---- the thread ------------------------------------------------------------------------------------------

void LogPump::State::run() {
    ::pthread_setname_np(::pthread_self(), "log-pump");
    for (bool more = true; more;) {
        try {
            more = turn();
        } catch (const std::bad_alloc&) {
            std::this_thread::sleep_for(k_without_memory);  // what was asked for is still there
        }
    }
}

bool LogPump::State::turn() {
    std::array<epoll_event, k_events> events;
    const int idle = unlisted > 0 ? k_look_without_poll_ms : -1;
    const int count = ::epoll_wait(poll.get(), events.data(), k_events, asked.empty() ? idle : 0);
    if (unlisted > 0)
        for (const auto& [ticket, pipe] : pipes)
            if (!pipe->listed) copy(*pipe);
    for (int i = 0; i < count; ++i) {
        const auto& event = events[static_cast<std::size_t>(i)];
        std::uint64_t rung = 0;
        if (event.data.u64 == k_wake_up)
            (void)static_cast<bool>(::read(wake_up.get(), &rung, sizeof rung) == sizeof rung);
        else if (const auto found = pipes.find(event.data.u64); found != pipes.end())
            copy(*found->second);
    }
    bool last = false;
    {
        const std::lock_guard guard(lock);
        if (asked.empty()) asked.swap(commands);
        last = stopping && commands.empty();
        // Those that came while the others could not be carried out are next.
        if (!commands.empty()) ring();
    }
    for (; !asked.empty(); asked.pop_front()) carry_out(asked.front());
    stand_still();
    if (!last) return true;
    for (const auto& [ticket, pipe] : pipes) drain(*pipe);
    return false;
}

void LogPump::State::stand_still() {
    std::unique_lock guard(lock);
    if (!hold_wanted) return;
    stands_still = true;
    changed.notify_all();
    changed.wait(guard, [this] { return !hold_wanted; });
    stands_still = false;
}

void LogPump::State::carry_out(Command& command) {
    if (command.ticket == 0) return;
    if (command.added) {
        const auto& pipe = pipes.emplace(command.ticket, command.added).first->second;
        pipe->listed = listen(pipe->from.get(), command.ticket);
        if (!pipe->listed) ++unlisted;
        return;
    }
    const auto found = pipes.find(command.ticket);
    if (!command.drained) {
        if (found == pipes.end()) return;
        drain(*found->second);
        if (!found->second->listed) --unlisted;
        pipes.erase(found);  // closing it takes it out of the poll
        return;
    }
    if (found != pipes.end()) drain(*found->second);
    command.drained();
}

// Once, so that a chatty child keeps nobody from their turn.
ssize_t LogPump::State::copy(Pipe& pipe) {
    if (!pipe.from) return -1;
    ssize_t got = 0;
    do got = ::read(pipe.from.get(), buffer.data(), buffer.size());
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got <= 0) {
        pipe.from.reset();
        return -1;
    }
    write_all(pipe, static_cast<std::size_t>(got));
    return got;
}

// What is in it at this moment: who escaped may write for ever.
void LogPump::State::drain(Pipe& pipe) {
    int held = 0;
    if (!pipe.from || ::ioctl(pipe.from.get(), FIONREAD, &held) != 0) return;
    for (ssize_t left = held; left > 0;) {
        const ssize_t copied = copy(pipe);
        if (copied <= 0) return;
        left -= copied;
    }
}

void LogPump::State::write_all(const Pipe& pipe, std::size_t size) {
    for (std::size_t done = 0; done < size;) {
        const ssize_t put = ::write(pipe.to->get(), buffer.data() + done, size - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            complaints.complain("write", SysError{"write", "a log", errno}.message() +
                                             ": output that comes by a pipe is dropped");
            return;
        }
        done += static_cast<std::size_t>(put);
    }
    complaints.went_well("write");
}

}  // namespace procd::sys
