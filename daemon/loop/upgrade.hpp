#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include <asio/io_context.hpp>

#include "daemon/api/host.hpp"
#include "daemon/loop/alarm.hpp"
#include "daemon/loop/readiness.hpp"
#include "daemon/sys/spawner.hpp"

namespace procd::loop {

// The check before this process becomes another program: that program is run beside this one, with the state
// as it is now, and says whether it could go on from it (`procd --check-state FD`). It is no managed process:
// no client sees it.
class UpgradeCheck {
  public:
    // The version that the program says it is, or why it cannot go on.
    using Verdict = std::variant<std::string, api::UpgradeFailure>;
    using Done = std::function<void(Verdict)>;

    UpgradeCheck(asio::io_context& io, sys::Spawner& spawner, std::string program, const std::string& state,
                 Done done);
    ~UpgradeCheck();

    bool is_child(pid_t pid) const { return pid == pid_; }

  private:
    static constexpr auto k_limit = std::chrono::seconds(10);

    Result<void> begin(sys::Spawner& spawner, const std::string& state);
    void started(sys::Launch::Outcome outcome);
    void ended();
    void finish(Verdict verdict);

    asio::io_context& io_;
    std::string program_;
    Done done_;
    UniqueFd said_;  // what it writes: its version, or what is wrong
    std::shared_ptr<sys::Launch> launch_;
    pid_t pid_ = 0;
    std::unique_ptr<Readiness> pidfd_;
    Alarm limit_;
    Alarm again_;
    bool too_slow_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace procd::loop
