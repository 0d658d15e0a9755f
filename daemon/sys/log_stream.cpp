#include "daemon/sys/log_stream.hpp"

#include <array>
#include <chrono>
#include <mutex>
#include <new>
#include <optional>
#include <poll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

#include "base/file_watch.hpp"
#include "base/log_reader.hpp"
#include "base/unique_fd.hpp"
#include "daemon/sys/clone.hpp"

namespace procd::sys {
namespace {

constexpr int k_look_without_watch_ms = 200;
constexpr auto k_until_told_again = std::chrono::milliseconds(100);

}  // namespace

struct LogStream::State {
    State(Plan plan_, Handlers handlers_, UniqueFd wake_)
        : plan(std::move(plan_)), handlers(std::move(handlers_)), wake(std::move(wake_)) {}

    const Plan plan;
    std::mutex lock;  // for what follows up to `wake`
    Handlers handlers;
    bool discarded = false;
    bool wanted = true;  // the chunk before was taken
    bool completed = false;
    const UniqueFd wake;  // an eventfd: one of the flags was changed

    void run();
    End read();
    // False: there was no memory for it, and another try is due.
    bool tell(std::optional<End>& end);
    bool is_discarded();
    bool pass_on(Chunk chunk);
    bool await_room();
    bool is_complete();
    void await_change(int watch);
    void change(bool State::*flag);
};

void LogStream::State::change(bool State::*flag) {
    {
        const std::lock_guard guard(lock);
        this->*flag = true;
    }
    const std::uint64_t one = 1;
    (void)!::write(wake.get(), &one, sizeof one);
}

// Until a flag was changed or the file was.
void LogStream::State::await_change(int watch) {
    std::array<pollfd, 2> entries{pollfd{wake.get(), POLLIN, 0}, pollfd{watch, POLLIN, 0}};
    ::poll(entries.data(), entries.size(), watch < 0 ? k_look_without_watch_ms : -1);
    std::uint64_t count;
    if (entries[0].revents != 0) (void)!::read(wake.get(), &count, sizeof count);
}

// False: nobody wants more.
bool LogStream::State::await_room() {
    for (;;) {
        {
            const std::lock_guard guard(lock);
            if (discarded || wanted) return !discarded;
        }
        pollfd entry{wake.get(), POLLIN, 0};
        ::poll(&entry, 1, -1);
        std::uint64_t count;
        (void)!::read(wake.get(), &count, sizeof count);
    }
}

bool LogStream::State::is_discarded() {
    const std::lock_guard guard(lock);
    return discarded;
}

bool LogStream::State::is_complete() {
    const std::lock_guard guard(lock);
    return completed || !plan.follow;
}

bool LogStream::State::pass_on(Chunk chunk) {
    const std::lock_guard guard(lock);
    if (discarded) return false;
    wanted = false;
    handlers.on_chunk(std::move(chunk));
    return true;
}

LogStream::End LogStream::State::read() {
    End end;
    auto files = LogFiles::open(plan.path, plan.owner, [this] { return is_discarded(); });
    if (!files) {
        end.error = files.error();
        return end;
    }
    end.device = files->device();
    end.inode = files->inode();
    if (plan.locate) return end;
    LogReader reader(std::move(*files));
    const auto begun =
        plan.from ? reader.go_on_at(*plan.from, plan.follow) : reader.begin_at_last(plan.lines, plan.follow);
    if (!begun) {
        end.error = begun.error();
        return end;
    }
    const UniqueFd watch = plan.follow ? watch_file(reader.files().fd()) : UniqueFd();
    while (await_room()) {
        // Both are looked at before the file, so that nothing of it is missed.
        bool over = is_complete();
        bool removed = !over && !reader.files().in_place();
        if (removed) {  // with the record of the process, perhaps, which has ended then
            over = is_complete();
            removed = !over;
        }
        if (watch) rearm_watch(watch.get());
        const auto lines = reader.next(over || removed);
        if (!lines) {
            end.error = lines.error();
            break;
        }
        if (!lines->text.empty() || lines->dropped > 0 || lines->truncated) {
            if (!pass_on({std::string(lines->text), lines->dropped, lines->truncated, reader.place()})) break;
        } else if (over || removed) {
            end.removed = removed;
            break;
        } else {
            await_change(watch.get());
        }
    }
    end.interrupted = reader.files().interrupted();
    return end;
}

bool LogStream::State::tell(std::optional<End>& end) try {
    if (!end) end = End{SysError{"read", plan.path, ENOMEM}};
    const std::lock_guard guard(lock);
    if (!discarded) handlers.on_end(*end);
    return true;
} catch (...) {
    return false;
}

// Nothing may be thrown out of it, which would be procd's end. Who reads waits for the end, so without memory
// it is told as soon as there is some.
void LogStream::State::run() {
    std::optional<End> end;
    try {
        end = read();
    } catch (...) {  // for want of memory: told as the end
    }
    while (!tell(end)) std::this_thread::sleep_for(k_until_told_again);
}

std::unique_ptr<LogStream> LogStream::start(Plan plan, Handlers handlers, std::shared_ptr<const void> kept) {
    UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake) return nullptr;
    auto state = std::make_shared<State>(std::move(plan), std::move(handlers), std::move(wake));
    try {
        const AllSignalsBlocked blocked;  // inherited: the loop's signals are the loop's
        std::thread([state, kept = std::move(kept)] { state->run(); }).detach();
    } catch (const std::system_error&) {
        return nullptr;
    }
    return std::unique_ptr<LogStream>(new LogStream(std::move(state)));
}

LogStream::~LogStream() {
    state_->change(&State::discarded);
    const std::lock_guard guard(state_->lock);
    state_->handlers = {};
}

void LogStream::take_more() {
    state_->change(&State::wanted);
}

void LogStream::complete() {
    state_->change(&State::completed);
}

}  // namespace procd::sys
