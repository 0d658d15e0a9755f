#include <cerrno>
#include <utility>

#include "daemon/loop/guard.hpp"
#include "daemon/loop/log.hpp"
#include "daemon/loop/runtime.hpp"
#include "daemon/sys/process_self.hpp"
#include "daemon/sys/replace.hpp"

// This process becomes another program of procd's: check it, stand still, go. Whatever does not succeed
// leaves everything as it was.
namespace procd::loop {
namespace {

constexpr auto k_standstill = std::chrono::seconds(5);  // for starts under way

core::Refusal cannot(core::RefusalKind kind, std::string why, int error = 0) {
    return {kind, std::move(why), {}, {}, error};
}

}  // namespace

core::Outcome<core::Done> Runtime::upgrade(const std::string& binary, const api::UpgradeRequest& request) {
    using Kind = core::RefusalKind;
    if (api_.core().stopping()) return cannot(Kind::shutting_down, "procd is stopping");
    if (upgrade_) return cannot(Kind::limit, "another upgrade is under way");
    const auto program = binary.empty() ? sys::own_executable() : std::optional(binary);
    if (!program) return cannot(Kind::limit, "procd's own file is not known: /proc cannot be read", ENOENT);
    upgrade_ = std::make_shared<UpgradeUnderWay>(io_);
    upgrade_->program = *program;
    upgrade_->request = request;
    std::vector<int> kept;
    upgrade_->check = std::make_unique<UpgradeCheck>(
        io_, children_.spawner(), *program, snapshot_text(request, kept),
        [this](UpgradeCheck::Verdict verdict) {
            if (const auto* failure = std::get_if<api::UpgradeFailure>(&verdict)) return give_up(*failure);
            log_info("upgrade: " + upgrade_->program + " is procd " + std::get<std::string>(verdict) +
                     " and can go on from here");
            stand_still();
        });
    return core::Done{};
}

bool Runtime::is_upgrading_for(core::ConnectionId connection) const {
    return upgrade_ && upgrade_->request.id && upgrade_->request.connection == connection;
}

// Requests wait from now on, so that no start is under way in the end.
void Runtime::stand_still() {
    upgrade_->standing_still = true;
    upgrade_->limit.set(now().mono + k_standstill, [this] {
        give_up({"a process that is being started hangs before its exec; abandon it first", 0, false});
    });
    go_if_still();
}

bool Runtime::waits_for_upgrade(core::ConnectionId connection) {
    if (!upgrade_ || !upgrade_->standing_still) return false;
    upgrade_->held.push_back(connection);
    return true;
}

void Runtime::go_if_still() {
    if (!upgrade_ || !upgrade_->standing_still || api_.core().starting() > 0) return;
    if (api_.core().stopping()) return give_up({"procd is stopping", 0, false});
    // Not from inside of what led here: nothing may be half done.
    later(io_, [this] {
        if (upgrade_ && upgrade_->standing_still && api_.core().starting() == 0 && actions_.empty()) go();
    });
}

void Runtime::go() {
    // What has been read of a pipe and not been written yet would be lost.
    if (!logs_->hold()) return give_up({"a log's disk does not answer", 0, false});
    std::vector<int> kept;
    const std::string text = snapshot_text(upgrade_->request, kept);
    auto memory = sys::make_state_memory(text);
    if (!memory) {
        logs_->go_on();
        return give_up({memory.error().message(), memory.error().error, false});
    }
    kept.push_back(memory->get());
    std::vector<std::string> arguments = config_.arguments;
    arguments.front() = upgrade_->program;
    arguments.push_back("--resume-state");
    arguments.push_back(std::to_string(memory->get()) + "," + std::to_string(acceptor_->listener().fd()) +
                        "," + std::to_string(acceptor_->listener().lock_fd()));
    service_manager_.reloading();
    const SysError error = sys::replace_program(upgrade_->program, arguments, kept);
    // Still this one.
    service_manager_.ready();
    logs_->go_on();
    give_up({error.message(), error.error, true});
}

void Runtime::give_up(const api::UpgradeFailure& failure) {
    // Not from inside of the check.
    const std::shared_ptr<UpgradeUnderWay> over(std::move(upgrade_));
    later(io_, [over] {});
    api_.upgrade_failed(over->request, failure);
    for (const core::ConnectionId connection : over->held) resume(connection);
}

}  // namespace procd::loop
