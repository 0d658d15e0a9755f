#include "daemon/sys/log_file.hpp"

#include <cerrno>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include "base/log_index.hpp"
#include "daemon/sys/names.hpp"

namespace procd::sys {
namespace {

constexpr int k_max_tries = 10000;
constexpr std::size_t k_most_pieces = 100;

Result<void> make_directory(const std::string& directory, mode_t mode) {
    // What really is missing above it, its own making tells. Users must get through root's.
    const mode_t parents = ::geteuid() == 0 ? 0711 : 0700;
    for (std::size_t slash = directory.find('/', 1); slash != std::string::npos;
         slash = directory.find('/', slash + 1))
        ::mkdir(directory.substr(0, slash).c_str(), parents);
    if (::mkdir(directory.c_str(), mode) == 0) {
        if (::chmod(directory.c_str(), mode) != 0)
            return SysError{"chmod", directory, errno};  // whatever the umask
        return {};
    }
    if (errno != EEXIST) return SysError{"mkdir", directory, errno};
    return {};
}

}  // namespace

UniqueFd open_beneath(int folder, const std::string& name, int flags, mode_t mode) {
    open_how how{};
    // The kernel takes no flag here that means nothing.
    const int more = (flags & O_PATH) != 0 ? 0 : O_NOCTTY;
    how.flags = static_cast<std::uint64_t>(flags | more | O_CLOEXEC | O_NOFOLLOW);
    how.mode = mode;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    long fd;
    do {
        fd = ::syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how);
    } while (fd < 0 && (errno == EINTR || errno == EAGAIN));  // EAGAIN: something was renamed meanwhile
    return UniqueFd(static_cast<int>(fd));
}

Result<LogDirectory> LogDirectory::open(const std::string& path) {
    const bool root = ::geteuid() == 0;
    if (auto made = make_directory(path, root ? 0711 : 0700); !made) return made.error();
    UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return SysError{"open", path, errno};
    return LogDirectory(path, std::move(fd), root);
}

// The number stays, for other threads that are using it.
Result<void> LogDirectory::make_again() const {
    auto made = open(path_);
    if (!made) return made.error();
    if (::dup3(made->fd_.get(), fd_.get(), O_CLOEXEC) < 0) return SysError{"open", path_, errno};
    return {};
}

Result<void> LogDirectory::make_missing(const std::string& folder, uid_t uid, gid_t gid) const {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0 || status.st_nlink == 0) {
        if (auto made = make_again(); !made) return made.error();
    }
    if (folder.empty()) return {};
    const std::string subject = path_ + "/" + folder;
    if (::mkdirat(fd_.get(), folder.c_str(), 0700) != 0)
        return errno == EEXIST ? Result<void>() : SysError{"mkdir", subject, errno};
    if (::fchownat(fd_.get(), folder.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0)
        return SysError{"chown", subject, errno};
    return {};
}

// A log is new only where nothing is left of an old one whose file alone was deleted: its index would be
// taken for the new one's.
bool LogDirectory::is_taken(const std::string& name) const {
    struct stat status {};
    return ::fstatat(fd_.get(), log_index_path(name).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string LogDirectory::name_of(std::int64_t id, const std::string& name, LogKind kind, uid_t uid,
                                  int number) const {
    return (per_user_ ? std::to_string(uid) + "/" : "") + group_name(id, name) +
           (number == 0 ? "" : "." + std::to_string(number)) +
           (kind == LogKind::errors ? ".err.log" : ".log");
}

Result<LogFile> LogDirectory::create(std::int64_t id, const std::string& name, LogKind kind, uid_t uid,
                                     gid_t gid) const {
    const std::string folder = per_user_ ? std::to_string(uid) : "";
    int made = 0;
    for (int n = 0; n < k_max_tries;) {
        const std::string file = name_of(id, name, kind, uid, n);
        LogFile log{open_beneath(fd_.get(), file, O_WRONLY | O_APPEND | O_CREAT | O_EXCL, 0600),
                    path_ + "/" + file, uid, gid};
        const int error = log.fd ? 0 : errno;
        if (error == ENOENT && made++ < 2) {
            if (auto again = make_missing(folder, uid, gid); !again) return again.error();
            continue;
        }
        if (error != 0 && error != EEXIST) return SysError{"open", log.path, error};
        ++n;
        if (error == EEXIST) continue;
        const bool taken = is_taken(file);
        if (!taken && (!per_user_ || ::fchown(log.fd.get(), uid, gid) == 0)) return log;
        const int why = errno;
        if (const auto place = find(log.path)) ::unlinkat(place->folder.get(), place->name.c_str(), 0);
        if (!taken) return SysError{"chown", log.path, why};
    }
    return SysError{"open", path_ + "/" + name_of(id, name, kind, uid, 0), EEXIST};
}

Result<LogFile> LogDirectory::reopen(const std::string& path, uid_t uid) const {
    const auto place = find(path);
    if (!place) return place.error();
    LogFile log{open_beneath(place->folder.get(), place->name, O_WRONLY | O_APPEND | O_NONBLOCK), path, uid,
                0};
    if (!log.fd) return SysError{"open", path, errno};
    struct stat status {};
    if (::fstat(log.fd.get(), &status) != 0) return SysError{"stat", path, errno};
    if (!S_ISREG(status.st_mode) || status.st_uid != uid)
        return SysError{"use, as it is another's by now,", path, EPERM};
    log.gid = status.st_gid;
    return log;
}

std::optional<std::string> LogDirectory::find_first(std::int64_t id, const std::string& name, LogKind kind,
                                                    uid_t uid) const {
    const std::string path = path_ + "/" + name_of(id, name, kind, uid, 0);
    const auto there = reopen(path, uid);
    return there ? std::optional(path) : std::nullopt;
}

Result<LogPlace> LogDirectory::find(const std::string& path) const {
    const std::string prefix = path_ + "/";
    if (!path.starts_with(prefix)) return SysError{"find", path, ENOENT};
    const std::string below = path.substr(prefix.size());
    const std::size_t slash = below.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : below.substr(0, slash);
    LogPlace place{open_beneath(fd_.get(), folder, O_PATH | O_DIRECTORY),
                   slash == std::string::npos ? below : below.substr(slash + 1)};
    if (!place.folder) return SysError{"open", path_ + "/" + folder, errno};
    return place;
}

void LogDirectory::remove(const std::string& path) const {
    const auto place = find(path);
    if (!place) return;
    const auto unlink = [&](const std::string& name) {
        return ::unlinkat(place->folder.get(), name.c_str(), 0) == 0;
    };
    unlink(place->name);
    const bool was_cut = unlink(log_index_path(place->name));
    const std::string newest = log_piece_path(place->name, 1);
    unlink(newest + ".part");
    if (!unlink(newest) && !was_cut) return;
    for (std::size_t number = 2; number <= k_most_pieces; ++number)
        unlink(log_piece_path(place->name, number));
}

}  // namespace procd::sys
