#include "daemon/loop/upgrade.hpp"

#include <csignal>
#include <system_error>
#include <utility>

#include "daemon/loop/guard.hpp"
#include "daemon/sys/descriptors.hpp"
#include "daemon/sys/pidfd.hpp"
#include "daemon/sys/process_self.hpp"
#include "daemon/sys/replace.hpp"

namespace procd::loop {
namespace {

constexpr auto k_again = std::chrono::milliseconds(20);
constexpr std::size_t k_most_said = 4096;

// Where its extra descriptor lands.
constexpr const char* k_state_fd = "3";

std::string first_line(std::string text) {
    return text.substr(0, text.find('\n'));
}

}  // namespace

UpgradeCheck::UpgradeCheck(asio::io_context& io, sys::Spawner& spawner, std::string program,
                           const std::string& state, Done done)
    : io_(io), program_(std::move(program)), done_(std::move(done)), limit_(io), again_(io) {
    if (const auto begun = begin(spawner, state); !begun)
        later(io_, [this, alive = alive_, error = begun.error()] {
            if (*alive) finish(api::UpgradeFailure{error.message(), error.error, false});
        });
}

Result<void> UpgradeCheck::begin(sys::Spawner& spawner, const std::string& state) {
    auto memory = sys::make_state_memory(state);
    if (!memory) return memory.error();
    auto pipe = sys::make_pipe();
    if (!pipe) return pipe.error();
    said_ = std::move(pipe->read);
    const auto held =
        std::make_shared<std::pair<UniqueFd, UniqueFd>>(std::move(*memory), std::move(pipe->write));
    sys::LaunchPlan plan;
    plan.argv = {program_, "--check-state", k_state_fd};
    plan.stdio = {-1, held->second.get(), held->second.get()};
    plan.extra_fds = {held->first.get()};
    launch_ = spawner.submit(
        sys::own_uid(), [plan, held]() -> std::variant<sys::LaunchPlan, sys::SpawnError> { return plan; },
        [this, alive = alive_, &io = io_](sys::Launch::Outcome outcome) {
            auto told = std::make_shared<sys::Launch::Outcome>(std::move(outcome));
            later(io, [this, alive, told] {
                if (*alive) started(std::move(*told));
            });
        });
    limit_.set(std::chrono::steady_clock::now() + k_limit, [this] {
        too_slow_ = true;
        if (pidfd_)
            (void)sys::send_signal(pidfd_->fd(), SIGKILL);
        else
            (void)launch_->abandon();
    });
    return {};
}

UpgradeCheck::~UpgradeCheck() {
    *alive_ = false;
}

void UpgradeCheck::started(sys::Launch::Outcome outcome) {
    if (const auto* error = std::get_if<sys::SpawnError>(&outcome)) {
        const std::string why = error->killed ? "it does not start within the time it has"
                                              : std::generic_category().message(error->error);
        return finish(api::UpgradeFailure{"exec " + program_ + ": " + why, error->error, true});
    }
    auto& spawned = std::get<sys::Spawned>(outcome);
    pid_ = spawned.pid;
    pidfd_ = std::make_unique<Readiness>(io_, std::move(spawned.pidfd));
    pidfd_->on_readable([this] { ended(); });
}

void UpgradeCheck::ended() {
    const auto exit = sys::reap(pidfd_->fd());
    if (!exit)  // somebody traces it
        return again_.set(std::chrono::steady_clock::now() + k_again, [this] { ended(); });
    const std::string said = first_line(sys::read_available(said_.get(), k_most_said));
    if (!exit->signaled && exit->code == 0 && !said.empty()) return finish(said);
    std::string why = said;
    if (too_slow_)
        why = "it does not answer within the time it has";
    else if (exit->signaled)
        why = "it was ended by signal " + std::to_string(exit->signal);
    else if (why.empty())
        why = "it ended with status " + std::to_string(exit->code) + " and said nothing";
    finish(api::UpgradeFailure{program_ + " cannot go on from here: " + why, 0, true});
}

void UpgradeCheck::finish(Verdict verdict) {
    limit_.set(std::nullopt, {});
    const Done done = std::exchange(done_, {});
    if (done) done(std::move(verdict));
}

}  // namespace procd::loop
