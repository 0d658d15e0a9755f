#pragma once

#include <optional>
#include <vector>

#include "daemon/core/types.hpp"

// One process's life as a total state machine. It knows no names, owners or clients, and does nothing itself:
// each input answers with the steps to take.
//
//   initial ──start──▶ starting ──spawned──▶ running ──main exits──▶ lingering ──200 ms──▶ ending (or kept)
//                          │                    │                        │
//                       failed              terminate                tree empty
//                          ▼                    ▼                        ▼
//                       exited              ending ──grace──▶ killing ─▶ exited
//
// starting: a spawner thread is in clone3; an end that is asked for meanwhile is remembered and begins when
// the child
//   has exec'd, so that SIGTERM never hits a half-made child; a child that hangs there is abandoned by a kill
//   or after the grace.
// ending:  SIGTERM was sent to the tree, the grace runs; also after the main's end.
// killing: SIGKILL was sent; repeated, since a fork may be under way.
// lingering: the main ended by itself and what it left has a moment to go by itself.
// kept: leftovers that were asked to be kept; they end with the owner.
// The end is the main reaped and the tree counted empty.
namespace procd::core {

enum class Phase { initial, starting, running, lingering, kept, ending, killing, exited };

enum class Step {
    launch,     // start the child
    abandon,    // end a child that has not exec'd yet
    terminate,  // SIGTERM to the tree in passes, then SIGCONT
    kill,       // SIGKILL to the tree
    count,      // count what is left of the tree, then tell counted()
};
using Steps = std::vector<Step>;

constexpr Duration k_linger = std::chrono::milliseconds(200);
constexpr Duration k_first_retry = std::chrono::milliseconds(10);  // of a kill or an abandon; doubles up to
constexpr Duration k_last_retry = std::chrono::seconds(1);

// All that a Life knows.
struct LifeRecord {
    Phase phase = Phase::initial;
    bool main_alive = false;
    bool end_wanted = false;
    bool kill_wanted = false;
    bool linger_over = false;
    Duration grace{};
    bool keep_leftovers = false;
    Duration retry = k_first_retry;
    std::optional<Mono> deadline{};
    std::size_t leftovers = 0;

    bool operator==(const LifeRecord&) const = default;
};

class Life {
  public:
    explicit Life(Duration grace = std::chrono::seconds(10), bool keep_leftovers = false)
        : is_{.grace = grace, .keep_leftovers = keep_leftovers} {}
    explicit Life(const LifeRecord& record) : is_(record) {}

    const LifeRecord& record() const { return is_; }

    Phase phase() const { return is_.phase; }
    State state() const;
    // From spawned() until main_exited().
    bool main_alive() const { return is_.main_alive; }
    // Whether an end was asked for (and not just the main's own).
    bool end_wanted() const { return is_.end_wanted; }
    // When expired() is due.
    std::optional<Mono> deadline() const { return is_.deadline; }
    // How many were left when the main had ended by itself and the linger was over.
    std::size_t leftovers() const { return is_.leftovers; }

    Steps start();
    Steps spawned(Mono now);
    Steps launch_failed();
    Steps main_exited(Mono now);
    // grace: this time's own; a later one may shorten the running one, never lengthens it.
    Steps terminate(Mono now, std::optional<Duration> grace);
    // The end was asked for already, and somebody else wants it now: the process's own grace at most.
    Steps hurry(Mono now);
    Steps kill(Mono now);
    // So many processes of the tree are left besides the main.
    Steps counted(Mono now, std::size_t rest);
    // The deadline has passed.
    Steps expired(Mono now);
    // The owner ended: what was kept for it goes.
    Steps release_kept(Mono now);
    // What was begun by a procd that is gone goes on. again: whether what it decided last was done is not
    // known.
    Steps resume(Mono now, bool again);

  private:
    Steps end_now(Mono now);
    Steps kill_now(Mono now);
    void retry_later(Mono now);
    void finish();

    LifeRecord is_;
};

}  // namespace procd::core
