#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <sys/types.h>
#include <variant>

#include "daemon/sys/spawn.hpp"

namespace procd::sys {

// One start in flight. Shared between the loop, which may look at it or abandon it, and a spawner thread.
class Launch {
  public:
    using Prepare = std::function<std::variant<LaunchPlan, SpawnError>()>;
    using Outcome = std::variant<Spawned, SpawnError>;
    // Called on the spawner thread, once, whatever happened.
    using Done = std::function<void(Outcome)>;

    // The pid as soon as the kernel has given one, else 0. Async with the spawner thread.
    pid_t pid() const { return progress_.pid.load(); }
    Stage stage() const { return progress_.stage.load(); }

    // Ends this start: not cloned yet: it never will be; hanging before its exec: SIGKILL by pidfd. Done is
    // called with SpawnError{stage, 0, killed}. Returns false where the clone is just under way: call again
    // in a moment. After the exec or Done it does nothing and returns true. A child that execs in the very
    // moment of the call may be killed as what it has become: then Done gets a Spawned that has ended by
    // SIGKILL.
    bool abandon();

  private:
    friend class Spawner;
    LaunchProgress progress_;
    std::function<void()> on_abandon_;  // tells the pool that a waiting job is to be done away with
};

// A small pool of threads that sleep in clone3 so that the loop never does.
// Two threads live for ever; while all are busy and a job has waited k_patience, one more is made, up to
// k_max_threads and, for one user, k_max_threads_per_user; extra threads leave when idle. Users take turns.
// Jobs of one user start in the order submitted; a user whose children hang delays only that user.
// A thread stays as long as children of its own live: to the kernel it is their parent, and a program that
// asked for a signal at its parent's death (PR_SET_PDEATHSIG) would get it when the thread left.
class Spawner {
  public:
    static constexpr std::chrono::milliseconds k_farewell{3000};

    explicit Spawner(std::chrono::milliseconds farewell = k_farewell);
    // Abandons what is in flight and waits for the threads, as long as the farewell at most: a child that not
    // even SIGKILL wakes (a dead disk) must not keep procd from its end. Its Done is dropped; a Done that
    // runs is waited for, and none runs after this.
    ~Spawner();
    Spawner(const Spawner&) = delete;
    Spawner& operator=(const Spawner&) = delete;

    // prepare runs on the spawner thread (it may block: getpwnam, opening files), then spawn(), then done.
    // The plan's descriptors, and all else that the closures use, must be kept alive by the closure objects:
    // a thread that hangs in them may outlive everything else. done must not wait for this object's end.
    std::shared_ptr<Launch> submit(uid_t user, Launch::Prepare prepare, Launch::Done done);

  private:
    struct State;
    std::shared_ptr<State> state_;
    std::chrono::milliseconds farewell_;
};

}  // namespace procd::sys
