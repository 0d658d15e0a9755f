#include "daemon/sys/user_scope.hpp"

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <unistd.h>

#include <systemd/sd-bus.h>

#include "daemon/sys/procfs.hpp"

namespace procd::sys {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds k_patience{5};
constexpr std::chrono::milliseconds k_pause{5};
constexpr const char* k_subject = "a scope of the user's systemd";

SysError failed(int negative_errno) {
    return SysError{"make", k_subject, -negative_errno};
}

// The call is answered when the job is queued; the process is moved a moment later.
Result<void> await_arrival(const std::string& scope) {
    const auto deadline = Clock::now() + k_patience;
    for (;;) {
        const auto group = cgroup_of(::getpid());
        if (!group) return group.error();
        if (group->ends_with("/" + scope)) return {};
        if (Clock::now() > deadline) return failed(-ETIMEDOUT);
        std::this_thread::sleep_for(k_pause);
    }
}

}  // namespace

Result<void> enter_user_scope() {
    sd_bus* opened = nullptr;
    if (const int error = ::sd_bus_open_user(&opened); error < 0) return failed(error);
    const std::unique_ptr<sd_bus, decltype(&::sd_bus_flush_close_unref)> bus(opened,
                                                                             &::sd_bus_flush_close_unref);
    ::sd_bus_set_method_call_timeout(
        bus.get(), static_cast<std::uint64_t>(std::chrono::microseconds(k_patience).count()));
    const std::string scope = "procd-" + std::to_string(::getpid()) + ".scope";
    const int error = ::sd_bus_call_method(
        bus.get(), "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager", "StartTransientUnit", nullptr, nullptr, "ssa(sv)a(sa(sv))",
        scope.c_str(), "fail", 4,  // so many properties
        "Description", "s", "Process supervisor", "PIDs", "au", 1, static_cast<std::uint32_t>(::getpid()),
        "Delegate", "b", 1, "CollectMode", "s", "inactive-or-failed", 0);
    if (error < 0) return failed(error);
    return await_arrival(scope);
}

}  // namespace procd::sys
