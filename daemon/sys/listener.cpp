#include "daemon/sys/listener.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include "daemon/sys/descriptors.hpp"
#include "daemon/sys/users.hpp"

namespace procd::sys {
namespace {

constexpr int k_backlog = 1024;
constexpr int k_lock_tries = 100;  // each time the former holder removed the file under our hands
// A procd that was killed may have left a child that is not beyond its first steps, and holds what procd
// held.
constexpr int k_lock_waits = 20;
constexpr std::chrono::milliseconds k_lock_pause{5};

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> make_directory(const std::string& directory, bool make_parents) {
    const mode_t mode = ::geteuid() == 0 ? 0755 : 0700;
    if (make_parents) {
        for (std::size_t slash = directory.find('/', 1); slash != std::string::npos;
             slash = directory.find('/', slash + 1)) {
            ::mkdir(directory.substr(0, slash).c_str(), 0700);  // what really is missing, the last one tells
        }
    }
    if (::mkdir(directory.c_str(), mode) == 0) {
        ::chmod(directory.c_str(), mode);  // whatever the umask
        return {};
    }
    if (errno != EEXIST) return SysError{"mkdir", directory, errno};
    struct stat status {};
    if (::stat(directory.c_str(), &status) != 0) return SysError{"stat", directory, errno};
    if (!S_ISDIR(status.st_mode)) return SysError{"mkdir", directory, ENOTDIR};
    return {};
}

Result<sockaddr_un> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    constexpr std::size_t limit = sizeof address.sun_path - 1;
    if (path.empty()) return SysError{"bind", "an empty path", EINVAL};
    if (path.size() > limit) {
        return SysError{"bind",
                        path + " (" + std::to_string(path.size()) + " bytes; a socket's path has at most " +
                            std::to_string(limit) + ")",
                        ENAMETOOLONG};
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

// Makes way for a new socket. A socket that nobody listens on is litter; anything else is somebody's.
Result<void> clear_way(const std::string& path) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return {};
        return SysError{"lstat", path, errno};
    }
    if (!S_ISSOCK(status.st_mode)) return SysError{"replace, as it is no socket,", path, EEXIST};
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return SysError{"unlink", path, errno};
    return {};
}

std::string holder_of(int lock) {
    char text[32] = {};
    const ssize_t got = ::pread(lock, text, sizeof text - 1, 0);
    std::string pid(text, got > 0 ? static_cast<std::size_t>(got) : 0);
    while (!pid.empty() && pid.back() == '\n') pid.pop_back();
    return pid.empty() ? "unknown" : pid;
}

}  // namespace

Result<void> Listener::take_lock() {
    const std::string path = config_.path + ".lock";
    int waits = 0;
    for (int i = 0; i < k_lock_tries; ++i) {
        UniqueFd lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600));
        if (!lock) return SysError{"open", path, errno};
        if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
            if (errno != EWOULDBLOCK) return SysError{"flock", path, errno};
            if (waits++ < k_lock_waits) {
                std::this_thread::sleep_for(k_lock_pause);
                continue;
            }
            return SysError{"another procd (pid " + holder_of(lock.get()) + ") already serves", config_.path,
                            0};
        }
        // The former holder may have removed the file between our open and our lock.
        if (!leads_to(path, lock.get())) continue;
        const std::string pid = std::to_string(::getpid()) + "\n";  // for people; never used for a decision
        if (::ftruncate(lock.get(), 0) != 0 || ::pwrite(lock.get(), pid.data(), pid.size(), 0) < 0) {
            return SysError{"write", path, errno};
        }
        lock_ = std::move(lock);
        return {};
    }
    return SysError{"lock", path, EAGAIN};
}

bool Listener::note_place() {
    struct stat status {};
    if (::lstat(config_.path.c_str(), &status) != 0) return false;
    device_ = status.st_dev;
    inode_ = status.st_ino;
    return true;
}

Result<void> Listener::bind() {
    const auto address = address_of(config_.path);
    if (!address) return address.error();
    if (auto clear = clear_way(config_.path); !clear) return clear;
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!socket) return SysError{"socket", config_.path, errno};
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
        return SysError{"bind", config_.path, errno};
    }
    // Mode and group before the listen: until then nobody can connect.
    const auto give_up = [this](const std::string& operation, int error) {
        ::unlink(config_.path.c_str());
        return SysError{operation, config_.path, error};
    };
    if (!config_.group.empty()) {
        const auto gid = gid_of_group(config_.group);
        if (!gid) return give_up("find the group " + config_.group + " for", ENOENT);
        if (::lchown(config_.path.c_str(), static_cast<uid_t>(-1), *gid) != 0) return give_up("chown", errno);
    }
    if (::chmod(config_.path.c_str(), config_.mode) != 0) return give_up("chmod", errno);
    if (::listen(socket.get(), k_backlog) != 0) return give_up("listen", errno);
    if (!note_place()) return SysError{"lstat", config_.path, errno};
    socket_ = std::move(socket);
    return {};
}

Result<Listener> Listener::open(const ListenerConfig& config) {
    // Before anything is made.
    if (const auto address = address_of(config.path); !address) return address.error();
    if (auto made = make_directory(directory_of(config.path), config.make_parents); !made)
        return made.error();
    Listener listener;
    listener.config_ = config;
    if (auto locked = listener.take_lock(); !locked) return locked.error();
    if (auto bound = listener.bind(); !bound) return bound.error();
    return listener;
}

Result<Listener> Listener::adopt(UniqueFd socket) {
    int listening = 0;
    socklen_t size = sizeof listening;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0) {
        return SysError{"use the descriptor passed,", "which is no listening socket", EINVAL};
    }
    sockaddr_un address{};
    size = sizeof address;
    if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
        return SysError{"getsockname", "", errno};
    }
    if (address.sun_family != AF_UNIX)
        return SysError{"use the descriptor passed,", "which is no UNIX socket", EINVAL};
    const int flags = ::fcntl(socket.get(), F_GETFL);
    ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK);
    ::fcntl(socket.get(), F_SETFD, FD_CLOEXEC);
    Listener listener;
    listener.config_.path.assign(address.sun_path, ::strnlen(address.sun_path, sizeof address.sun_path));
    listener.socket_ = std::move(socket);
    listener.note_place();
    return listener;
}

Result<Listener> Listener::resume(const ListenerConfig& config, UniqueFd socket, UniqueFd lock) {
    auto listener = adopt(std::move(socket));
    if (!listener) return listener;
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) return SysError{"flock", config.path + ".lock", errno};
    ::fcntl(lock.get(), F_SETFD, FD_CLOEXEC);
    listener->config_ = config;
    listener->lock_ = std::move(lock);
    listener->note_place();
    return listener;
}

Listener::~Listener() {
    if (!lock_) return;
    if (socket_ && in_place()) ::unlink(config_.path.c_str());
    // While it is still locked: who opens it now finds it gone once it has the lock, and makes another.
    ::unlink((config_.path + ".lock").c_str());
}

void Listener::leave() {
    socket_.reset();
    lock_.reset();
}

bool Listener::in_place() const {
    struct stat status {};
    return ::lstat(config_.path.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
}

Result<void> Listener::rebind() {
    if (!lock_) return SysError{"bind again, as it is systemd's,", config_.path, EPERM};
    if (in_place()) return {};
    // The whole directory may have gone, and the lock file with it.
    if (auto made = make_directory(directory_of(config_.path), config_.make_parents); !made) return made;
    if (!leads_to(config_.path + ".lock", lock_.get())) {
        if (auto locked = take_lock(); !locked) return locked;
    }
    return bind();
}

UniqueFd Listener::watch() const {
    UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const std::string directory = directory_of(config_.path);
    constexpr std::uint32_t events = IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
    if (watch && ::inotify_add_watch(watch.get(), directory.c_str(), events) < 0) watch.reset();
    return watch;
}

Result<UniqueFd> accept(int listen_fd) {
    for (;;) {
        const int fd = ::accept4(listen_fd, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) return UniqueFd(fd);
        // Who gave up while waiting is no reason not to take the next.
        if (errno != EINTR && errno != ECONNABORTED) return SysError{"accept", "", errno};
    }
}

}  // namespace procd::sys
