#include "daemon/sys/journal.hpp"

#include <sys/syslog.h>

#include <systemd/sd-journal.h>

namespace procd::sys {

Result<UniqueFd> open_journal_stream(const std::string& identifier, JournalPriority priority) {
    const int level = priority == JournalPriority::info ? LOG_INFO : LOG_WARNING;
    // A line may say its own priority in front, "<3>", as everything does that systemd starts.
    const int fd = ::sd_journal_stream_fd(identifier.c_str(), level, 1);
    if (fd < 0) return SysError{"connect", "/run/systemd/journal/stdout", -fd};
    return UniqueFd(fd);
}

}  // namespace procd::sys
