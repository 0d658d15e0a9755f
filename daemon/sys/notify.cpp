#include "daemon/sys/notify.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "daemon/sys/process_self.hpp"

namespace procd::sys {

namespace {

constexpr std::string_view k_pidfd_prefix = "pidfd-";
constexpr std::size_t k_max_stored_name = 255;  // of systemd's: a longer one is "stored" to it

Result<bool> tell_store(const std::string& state, const std::string& name, const int* fds, unsigned count) {
    // libsystemd reads no name back: a line of its own in it would be another order.
    const bool printable = std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (name.empty() || name.size() > k_max_stored_name || !printable || name.find(':') != std::string::npos)
        return SysError{"store a descriptor as", name, EINVAL};
    const std::string text = state + "\nFDNAME=" + name;
    const int sent = ::sd_pid_notify_with_fds(0, 0, text.c_str(), fds, count);
    if (sent < 0) return SysError{"tell the service manager of", name, -sent};
    return sent > 0;
}

}  // namespace

std::vector<PassedDescriptor> passed_descriptors() {
    char** names = nullptr;
    const int count = ::sd_listen_fds_with_names(1, &names);  // sets close-on-exec
    std::vector<PassedDescriptor> passed;
    for (int i = 0; i < count; ++i) {
        passed.push_back({names[i], UniqueFd(SD_LISTEN_FDS_START + i)});
        ::free(names[i]);
    }
    ::free(names);
    return passed;
}

bool is_listening_socket(int fd) {
    return ::sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0;
}

Result<bool> store_descriptor(const std::string& name, int fd) {
    return tell_store("FDSTORE=1\nFDPOLL=0", name, &fd, 1);
}

Result<bool> remove_stored(const std::string& name) {
    return tell_store("FDSTOREREMOVE=1", name, nullptr, 0);
}

std::string stored_pidfd_name(std::int64_t id) {
    return std::string(k_pidfd_prefix) + std::to_string(id);
}

std::optional<std::int64_t> id_of_stored_pidfd(const std::string& name) {
    if (!name.starts_with(k_pidfd_prefix)) return std::nullopt;
    std::int64_t id = 0;
    const char* const end = name.data() + name.size();
    const auto read = std::from_chars(name.data() + k_pidfd_prefix.size(), end, id);
    if (read.ec != std::errc{} || read.ptr != end || id <= 0) return std::nullopt;
    return id;
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
