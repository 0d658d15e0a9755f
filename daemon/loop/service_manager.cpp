#include "daemon/loop/service_manager.hpp"

#include <chrono>
#include <string>
#include <utility>

#include "daemon/sys/notify.hpp"

namespace procd::loop {
namespace {

constexpr auto k_status_pause = std::chrono::seconds(1);

std::string status_of(std::size_t processes) {
    return "STATUS=" + std::to_string(processes) + (processes == 1 ? " process" : " processes");
}

}  // namespace

ServiceManager::ServiceManager(asio::io_context& io)
    : there_(sys::has_service_manager()),
      watchdog_(there_ ? sys::watchdog_limit() : std::nullopt),
      feeding_(io),
      telling_(io) {}

void ServiceManager::ready() {
    if (!there_) return;
    told_ = living_;
    sys::notify("READY=1\n" + status_of(living_));
    if (watchdog_) feed_watchdog();
}

void ServiceManager::reloading() {
    if (there_) sys::notify("RELOADING=1");
}

void ServiceManager::stopping() {
    if (there_ && !std::exchange(stopping_, true)) sys::notify("STOPPING=1");
}

void ServiceManager::living(std::size_t processes) {
    living_ = processes;
    if (!there_ || !told_ || told_ == living_) return;  // before ready() it is not heard
    telling_.set_once(std::chrono::steady_clock::now() + k_status_pause, [this] { tell_status(); });
}

void ServiceManager::tell_status() {
    if (told_ == living_) return;
    told_ = living_;
    sys::notify(status_of(living_));
}

// Twice in the time allowed, as sd_watchdog_enabled(3) advises.
void ServiceManager::feed_watchdog() {
    sys::notify("WATCHDOG=1");
    feeding_.set(std::chrono::steady_clock::now() + *watchdog_ / 2, [this] { feed_watchdog(); });
}

}  // namespace procd::loop
