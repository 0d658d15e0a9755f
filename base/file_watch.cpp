#include "base/file_watch.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <sys/inotify.h>
#include <unistd.h>

namespace procd {

UniqueFd watch_file(int fd) {
    UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!watch) return {};
    // Not by its path, which may lead to another file by now.
    const std::string itself = "/proc/self/fd/" + std::to_string(fd);
    constexpr std::uint32_t events = IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF;
    if (::inotify_add_watch(watch.get(), itself.c_str(), events) < 0) return {};
    return watch;
}

void rearm_watch(int watch) {
    alignas(inotify_event) std::array<char, 4096> events;
    while (::read(watch, events.data(), events.size()) > 0) {
    }
}

}  // namespace procd
