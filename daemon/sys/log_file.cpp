#include "daemon/sys/log_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/sys/names.hpp"

namespace procd::sys {
namespace {

constexpr int k_max_tries = 10000;

}  // namespace

Result<void> make_log_dir(const std::string& directory) {
    const mode_t mode = ::geteuid() == 0 ? 0711 : 0700;
    // What really is missing above it, its own making tells.
    for (std::size_t slash = directory.find('/', 1); slash != std::string::npos;
         slash = directory.find('/', slash + 1))
        ::mkdir(directory.substr(0, slash).c_str(), 0700);
    if (::mkdir(directory.c_str(), mode) == 0) {
        if (::chmod(directory.c_str(), mode) != 0)
            return SysError{"chmod", directory, errno};  // whatever the umask
        return {};
    }
    if (errno != EEXIST) return SysError{"mkdir", directory, errno};
    struct stat status {};
    if (::stat(directory.c_str(), &status) != 0) return SysError{"stat", directory, errno};
    if (!S_ISDIR(status.st_mode)) return SysError{"mkdir", directory, ENOTDIR};
    return {};
}

Result<LogFile> create_log_file(const std::string& directory, std::int64_t id, const std::string& name,
                                uid_t uid, gid_t gid) {
    constexpr int flags = O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
    const std::string base = directory + "/" + group_name(id, name);
    for (int n = 0; n < k_max_tries; ++n) {
        LogFile log{UniqueFd(), n == 0 ? base + ".log" : base + "." + std::to_string(n) + ".log"};
        log.fd.reset(::open(log.path.c_str(), flags, 0600));
        if (!log.fd) {
            if (errno == EEXIST) continue;
            return SysError{"open", log.path, errno};
        }
        if (::geteuid() == 0 && ::fchown(log.fd.get(), uid, gid) != 0) {
            const int error = errno;
            ::unlink(log.path.c_str());
            return SysError{"chown", log.path, error};
        }
        return log;
    }
    return SysError{"open", base + ".log", EEXIST};
}

void remove_log_file(const std::string& path) {
    ::unlink(path.c_str());
}

}  // namespace procd::sys
