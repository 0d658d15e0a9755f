#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// The words of the core. It is pure: std only, no clock, no I/O. Time comes in with each call.
namespace procd::core {

using ProcessId = std::int64_t;
using SessionId = std::int64_t;
using ConnectionId = std::uint64_t;
using UserId = std::uint32_t;
// A request that is answered later; given out by whoever asks.
using Token = std::uint64_t;

using Duration = std::chrono::steady_clock::duration;
using Mono = std::chrono::steady_clock::time_point;  // for every duration and deadline
using Wall = std::chrono::system_clock::time_point;  // for people

struct Now {
    Mono mono;
    Wall wall;
};

// Something held for somebody (a descriptor), released with the last copy. Opaque here.
struct Resource {
    virtual ~Resource() = default;
};
using ResourcePtr = std::shared_ptr<Resource>;

enum class State { initial, running, stopping, exited };
enum class How { exited, signaled, exec_failed, lost };
enum class Cause { self, client, owner, shutdown, limit };
enum class KillMode { group, main };
enum class WaitMode { all, any };
enum class EventType { created, started, stopping, exited, changed, closed };

// How a main process ended. code for exited and exec_failed, signal for signaled.
struct Exit {
    How how = How::exited;
    int code = 0;
    int signal = 0;
    bool core = false;
};

// What a record says of its end.
struct Ending {
    Exit exit;
    Cause cause = Cause::self;
    std::size_t leftovers = 0;
};

// Why a launch gave no process: the stage it got to, and the errno (0 and killed: a signal ended it there).
struct LaunchFailure {
    std::string stage;
    int error = 0;
    bool killed = false;
};

enum class RefusalKind {
    bad_request,
    no_such_process,
    ambiguous,
    name_in_use,
    already_started,
    not_started,
    still_running,
    daemonic_no_children,
    owner_gone,
    not_permitted,
    deadlock,
    limit,
    shutting_down,
};

// Why a request is refused. Nothing was done.
struct Refusal {
    RefusalKind kind;
    std::string message;
    std::vector<ProcessId> candidates;                          // ambiguous, name_in_use
    std::vector<std::variant<ProcessId, std::string>> missing;  // no_such_process
    int error = 0;                                              // errno, where a system call said no
};

// A value, or the refusal.
template <class T>
class [[nodiscard]] Outcome {
  public:
    Outcome(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    Outcome(Refusal refusal) : content_(std::in_place_index<1>, std::move(refusal)) {}

    explicit operator bool() const { return content_.index() == 0; }
    const T& operator*() const { return std::get<0>(content_); }
    T& operator*() { return std::get<0>(content_); }
    const T* operator->() const { return &std::get<0>(content_); }
    const Refusal& refusal() const { return std::get<1>(content_); }

  private:
    std::variant<T, Refusal> content_;
};

struct Done {};

}  // namespace procd::core
