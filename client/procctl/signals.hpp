#pragma once

#include <csignal>
#include <functional>
#include <initializer_list>
#include <optional>
#include <poll.h>
#include <span>
#include <vector>

#include "base/unique_fd.hpp"
#include "client/lib/connection.hpp"
#include "client/lib/deadline.hpp"

namespace procctl {

// Signals as something to read, for verbs that pass them on. They stay blocked until procctl exits: one that
// comes when all is decided must not change the exit status. Those that procctl's caller ignores stay
// ignored, as nohup and a shell's `&` mean it; but SIGCHLD is always told.
class SignalSource {
  public:
    explicit SignalSource(std::initializer_list<int> signals);
    SignalSource(const SignalSource&) = delete;
    SignalSource& operator=(const SignalSource&) = delete;

    int fd() const { return fd_.get(); }
    std::optional<int> next();
    // The mask before: a child's.
    const sigset_t& mask_before() const { return before_; }

  private:
    procd::UniqueFd fd_;
    sigset_t before_{};
};

// What is attended to while something is waited for.
class Attended {
  public:
    virtual ~Attended() = default;
    // Adds what it waits for, and tells by when it wants to be called at the latest.
    virtual procd::client::Deadline prepare(std::vector<pollfd>& entries) = 0;
    // What came of that. Returns false to stop the waiting.
    virtual bool attend(std::span<const pollfd> entries) = 0;
};

enum class Waited { arrived, timed_out, stopped };

// Waits for a reply, or where there is no connection for signals alone. Each signal is given to `on_signal`,
// which returns false to stop the waiting.
Waited await_reply(procd::client::Connection* connection, procd::client::Connection::RequestId id,
                   SignalSource& signals, procd::client::Deadline deadline,
                   const std::function<bool(int)>& on_signal, Attended* beside = nullptr);

}  // namespace procctl
