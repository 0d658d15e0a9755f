#pragma once

#include <cstddef>
#include <optional>

#include <asio/io_context.hpp>

#include "daemon/loop/alarm.hpp"

namespace procd::loop {

// What procd says to the service manager that started it (sd_notify(3)). Where there is none, nothing is said
// and no timer runs.
class ServiceManager {
  public:
    explicit ServiceManager(asio::io_context& io);

    // The socket answers. From now on the watchdog is fed, from this loop: one that hangs is noticed.
    void ready();
    // In a moment it is another program, which says ready() again; or this one does.
    void reloading();
    // Said once.
    void stopping();
    // So many processes live. Told at most once a second.
    void living(std::size_t processes);

  private:
    void feed_watchdog();
    void tell_status();

    const bool there_;
    const std::optional<core::Duration> watchdog_;
    std::size_t living_ = 0;
    std::optional<std::size_t> told_;
    bool stopping_ = false;
    Alarm feeding_;
    Alarm telling_;
};

}  // namespace procd::loop
