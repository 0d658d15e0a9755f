#include "daemon/sys/spawner.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <signal.h>
#include <system_error>
#include <thread>
#include <vector>

#include "daemon/sys/clone.hpp"
#include "daemon/sys/pidfd.hpp"
#include "daemon/sys/procfs.hpp"

namespace procd::sys {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t k_permanent_threads = 2;
constexpr std::size_t k_max_threads = 128;          // beyond: jobs wait
constexpr std::size_t k_max_threads_per_user = 16;  // beyond: that user's jobs wait
constexpr std::chrono::milliseconds k_patience{10};
constexpr std::chrono::seconds k_idle_time{2};

SpawnError killed_at(Stage stage) {
    return SpawnError{stage, 0, true};
}

}  // namespace

bool Launch::abandon() {
    progress_.abandoned.store(true);
    {
        const std::lock_guard guard(progress_.pidfd_lock);
        if (progress_.over) return true;
        // The pid is written after the pidfd is really there.
        if (progress_.pid.load() != 0) {
            (void)send_signal(progress_.pidfd.load(), SIGKILL);
            return true;
        }
    }
    if (progress_.stage.load() != Stage::prepare) return false;
    if (on_abandon_) on_abandon_();
    return true;
}

struct Spawner::State : std::enable_shared_from_this<Spawner::State> {
    struct Job {
        uid_t user;
        std::shared_ptr<Launch> launch;
        Launch::Prepare prepare;
        Launch::Done done;
        Clock::time_point submitted;
    };
    struct User {
        std::deque<Job> waiting;
        std::size_t running = 0;
    };

    std::mutex lock;
    std::condition_variable work;    // for the spawner threads
    std::condition_variable keeper;  // for the thread that makes them and buries abandoned jobs
    std::condition_variable gone;    // a thread has left
    std::map<uid_t, User> users;     // those with a job that waits or runs
    std::deque<uid_t> turns;         // those with a job that waits: who is next
    std::vector<std::shared_ptr<Launch>> in_flight;
    UniqueFd null_device =
        open_null_device();   // for all: a start must not fail for want of one more descriptor
    std::size_t threads = 0;  // spawner threads
    std::size_t idle = 0;     // of them, without a job
    bool keeper_lives = false;
    bool some_abandoned = false;
    bool stopping = false;
    // Held while a Done runs, and never taken under the other lock: who must not be told any more is not
    // being told either.
    std::mutex telling;
    bool discarded = false;  // under telling: nobody is left to be told

    void start_thread(void (State::*body)());
    bool add_spawner_thread();
    void serve();
    void keep();

    std::optional<Job> take();
    void run(Job& job);
    void tell(Job& job, Launch::Outcome outcome);
    bool may_leave(bool waited_long) const;
    std::vector<Job> take_abandoned();
    std::optional<Clock::time_point> next_thread_due() const;
};

void Spawner::State::start_thread(void (State::*body)()) {
    const AllSignalsBlocked blocked;  // inherited: the loop's signals are the loop's
    std::thread([self = shared_from_this(), body] { ((*self).*body)(); }).detach();
}

bool Spawner::State::add_spawner_thread() {
    ++threads;
    ++idle;
    try {
        start_thread(&State::serve);
        return true;
    } catch (const std::system_error&) {  // no more threads for now
        --threads;
        --idle;
        return false;
    }
}

std::optional<Spawner::State::Job> Spawner::State::take() {
    for (std::size_t i = 0; i < turns.size(); ++i) {
        const uid_t id = turns.front();
        turns.pop_front();
        User& user = users[id];
        if (user.running >= k_max_threads_per_user) {
            turns.push_back(id);
            continue;
        }
        Job job = std::move(user.waiting.front());
        user.waiting.pop_front();
        ++user.running;
        if (!user.waiting.empty()) turns.push_back(id);
        in_flight.push_back(job.launch);
        return job;
    }
    return std::nullopt;
}

void Spawner::State::run(Job& job) {
    LaunchProgress& progress = job.launch->progress_;
    Launch::Outcome outcome = killed_at(Stage::prepare);
    if (!progress.abandoned.load()) {
        try {
            auto prepared = job.prepare();
            if (auto* plan = std::get_if<LaunchPlan>(&prepared)) {
                plan->null_device = null_device.get();
                outcome = spawn(*plan, progress);
            } else {
                outcome = std::get<SpawnError>(prepared);
            }
        } catch (const std::bad_alloc&) {
            outcome = SpawnError{Stage::prepare, ENOMEM};
        }
    }
    {
        const std::lock_guard guard(progress.pidfd_lock);
        progress.over = true;
    }
    tell(job, std::move(outcome));
}

void Spawner::State::tell(Job& job, Launch::Outcome outcome) {
    const std::lock_guard guard(telling);
    if (!discarded) job.done(std::move(outcome));
}

bool Spawner::State::may_leave(bool waited_long) const {
    if (stopping) return turns.empty();
    return waited_long && threads > k_permanent_threads && thread_is_childless();
}

void Spawner::State::serve() {
    std::unique_lock guard(lock);
    for (;;) {
        // Counted idle here. A thread more than the permanent ones looks after a while whether it may go.
        std::optional<Job> job = take();
        while (!job) {
            const bool waited_long = threads > k_permanent_threads
                                         ? work.wait_for(guard, k_idle_time) == std::cv_status::timeout
                                         : (work.wait(guard), false);
            job = take();
            if (!job && may_leave(waited_long)) {
                --idle;
                --threads;
                gone.notify_all();
                return;
            }
        }
        --idle;
        if (idle == 0 && !turns.empty()) keeper.notify_one();
        guard.unlock();

        run(*job);
        const uid_t user_id = job->user;
        const std::shared_ptr<Launch> launch = std::move(job->launch);
        job.reset();  // what the closures hold is let go here, not under the lock

        guard.lock();
        ++idle;
        in_flight.erase(std::find(in_flight.begin(), in_flight.end(), launch));
        const auto user = users.find(user_id);
        if (--user->second.running == 0 && user->second.waiting.empty()) users.erase(user);
        if (stopping && turns.empty()) work.notify_all();
    }
}

std::vector<Spawner::State::Job> Spawner::State::take_abandoned() {
    std::vector<Job> abandoned;
    if (!some_abandoned) return abandoned;
    some_abandoned = false;
    for (auto user = users.begin(); user != users.end();) {
        auto& waiting = user->second.waiting;
        for (auto job = waiting.begin(); job != waiting.end();) {
            if (!job->launch->progress_.abandoned.load()) {
                ++job;
                continue;
            }
            abandoned.push_back(std::move(*job));
            job = waiting.erase(job);
        }
        if (waiting.empty()) std::erase(turns, user->first);
        user = waiting.empty() && user->second.running == 0 ? users.erase(user) : std::next(user);
    }
    return abandoned;
}

// When the job that has waited longest has waited k_patience; nothing where no thread is needed or allowed.
std::optional<Clock::time_point> Spawner::State::next_thread_due() const {
    if (idle > 0 || threads >= k_max_threads) return std::nullopt;
    std::optional<Clock::time_point> due;
    for (const uid_t id : turns) {
        const User& user = users.at(id);
        if (user.running >= k_max_threads_per_user) continue;
        const auto at = user.waiting.front().submitted + k_patience;
        if (!due || at < *due) due = at;
    }
    return due;
}

void Spawner::State::keep() {
    std::unique_lock guard(lock);
    for (;;) {
        for (auto abandoned = take_abandoned(); !abandoned.empty(); abandoned.clear()) {
            guard.unlock();
            for (Job& job : abandoned) {
                {
                    const std::lock_guard progress_guard(job.launch->progress_.pidfd_lock);
                    job.launch->progress_.over = true;
                }
                tell(job, killed_at(Stage::prepare));
            }
            abandoned.clear();
            guard.lock();
        }
        if (stopping && turns.empty() && threads == 0) break;
        const auto due = next_thread_due();
        if (!due) {
            // While stopping, threads leave without a word to the keeper.
            if (stopping) {
                gone.wait_for(guard, k_patience);
            } else if (!some_abandoned) {
                keeper.wait(guard);
            }
            continue;
        }
        const auto now = Clock::now();
        if (now < *due) {
            keeper.wait_until(guard, *due);
        } else if (!add_spawner_thread()) {
            keeper.wait_until(guard, now + k_patience);
        }
    }
    keeper_lives = false;
    gone.notify_all();
}

Spawner::Spawner(std::chrono::milliseconds farewell)
    : state_(std::make_shared<State>()), farewell_(farewell) {
    const std::lock_guard guard(state_->lock);
    state_->start_thread(&State::keep);
    state_->keeper_lives = true;
    for (std::size_t i = 0; i < k_permanent_threads; ++i) state_->add_spawner_thread();
}

Spawner::~Spawner() {
    State& state = *state_;
    const auto deadline = Clock::now() + farewell_;
    std::unique_lock guard(state.lock);
    state.stopping = true;
    for (auto& [id, user] : state.users) {
        for (State::Job& job : user.waiting) job.launch->progress_.abandoned.store(true);
    }
    state.some_abandoned = true;
    while ((state.threads > 0 || state.keeper_lives) && Clock::now() < deadline) {
        state.work.notify_all();
        state.keeper.notify_all();
        const auto in_flight = state.in_flight;
        guard.unlock();
        for (const auto& launch : in_flight) launch->abandon();
        guard.lock();
        state.gone.wait_for(guard, std::chrono::milliseconds(5));
    }
    if (state.threads == 0) state.null_device.reset();
    guard.unlock();
    const std::lock_guard telling(state.telling);
    state.discarded = true;
}

std::shared_ptr<Launch> Spawner::submit(uid_t user, Launch::Prepare prepare, Launch::Done done) {
    auto launch = std::make_shared<Launch>();
    launch->on_abandon_ = [weak = std::weak_ptr<State>(state_)] {
        if (const auto state = weak.lock()) {
            const std::lock_guard guard(state->lock);
            state->some_abandoned = true;
            state->keeper.notify_one();
        }
    };
    const std::lock_guard guard(state_->lock);
    State::User& entry = state_->users[user];
    const bool first = entry.waiting.empty();
    if (first) state_->turns.push_back(user);
    try {
        entry.waiting.push_back({user, launch, std::move(prepare), std::move(done), Clock::now()});
    } catch (...) {
        if (first) state_->turns.pop_back();  // a turn is somebody's who waits
        throw;
    }
    if (state_->idle > 0) {
        state_->work.notify_one();
    } else {
        state_->keeper.notify_one();
    }
    return launch;
}

}  // namespace procd::sys
