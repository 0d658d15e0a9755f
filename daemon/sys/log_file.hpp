#pragma once

#include <cstdint>
#include <string>
#include <sys/types.h>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

struct LogFile {
    UniqueFd fd;  // O_WRONLY|O_APPEND, for the child to write
    std::string path;
};

// The directory of the logs, 0700; root's is 0711, so that its users reach their own logs by name.
Result<void> make_log_dir(const std::string& directory);
// A new file "<id>-<escaped name>.log" of the user's, 0600. One that is there already stays: then it is
// "<id>-<escaped name>.<n>.log".
Result<LogFile> create_log_file(const std::string& directory, std::int64_t id, const std::string& name,
                                uid_t uid, gid_t gid);

// Removes it; a path that leads elsewhere by now loses its own name only (unlink(2) follows no link).
void remove_log_file(const std::string& path);

}  // namespace procd::sys
