#include "daemon/sys/notify.hpp"

#include <cstdint>
#include <cstdlib>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "daemon/sys/process_self.hpp"

namespace procd::sys {

std::vector<UniqueFd> listen_fds() {
    std::vector<UniqueFd> fds;
    const int count = ::sd_listen_fds(1);  // sets close-on-exec
    for (int i = 0; i < count; ++i) fds.emplace_back(SD_LISTEN_FDS_START + i);
    return fds;
}

void notify(const std::string& state) {
    ::sd_notify(0, state.c_str());
}

bool stderr_is_journal() {
    struct stat stream {};
    if (::fstat(STDERR_FILENO, &stream) != 0) return false;
    return environment_variable("JOURNAL_STREAM") ==
           std::to_string(stream.st_dev) + ":" + std::to_string(stream.st_ino);
}

bool has_service_manager() {
    return std::getenv("NOTIFY_SOCKET") != nullptr;
}

std::optional<std::chrono::microseconds> watchdog_limit() {
    std::uint64_t limit = 0;
    if (::sd_watchdog_enabled(0, &limit) <= 0) return std::nullopt;
    return std::chrono::microseconds(limit);
}

void tell_ready(int fd) {
    // A starter that no longer waits is no reason not to serve.
    [[maybe_unused]] const ssize_t written = ::write(fd, "\n", 1);
    ::close(fd);
}

}  // namespace procd::sys
