#include "daemon/sys/state_file.hpp"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "daemon/sys/descriptors.hpp"

namespace procd::sys {
Result<StateFile> StateFile::begin(std::string path, const std::string& suffix) {
    std::string name = path + suffix;
    if (::unlink(name.c_str()) != 0 && errno != ENOENT) return SysError{"unlink", name, errno};
    UniqueFd fd(::open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return SysError{"open", name, errno};
    return StateFile(std::move(path), std::move(name), std::move(fd));
}

Result<void> StateFile::append(std::string_view text) {
    auto written = write_at(fd_.get(), text, size_, path_);
    if (written)
        size_ += text.size();
    else
        (void)!::ftruncate(fd_.get(), static_cast<off_t>(size_));
    return written;
}

Result<void> StateFile::overwrite(std::string_view text) {
    return write_at(fd_.get(), text, 0, path_);
}

Result<void> StateFile::commit() {
    return rename_file(begun_, path_);
}

bool StateFile::in_place() const {
    return leads_to(path_, fd_.get());
}

UniqueFd StateFile::watch() const {
    UniqueFd watch(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    // It is open: that its last name is gone shows in its number of links only.
    if (watch && ::inotify_add_watch(watch.get(), path_.c_str(), IN_ATTRIB | IN_MOVE_SELF) < 0) watch.reset();
    return watch;
}

Result<std::string> StateFile::read(std::uint64_t from, std::uint64_t to) const {
    return read_between(fd_.get(), from, to, path_);
}

Result<StateFile> StateFile::duplicate() const {
    auto copy = sys::duplicate(fd_.get());
    if (!copy) return copy.error();
    StateFile other(path_, begun_, std::move(*copy));
    other.size_ = size_;
    return other;
}

Result<std::optional<std::string>> read_state_file(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (!fd && errno == ENOENT) return std::optional<std::string>();
    if (!fd) return SysError{"open", path, errno};
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return SysError{"stat", path, errno};
    if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 022) != 0)
        return SysError{"use, as it is not procd's own,", path, EPERM};
    auto text = read_between(fd.get(), 0, static_cast<std::uint64_t>(status.st_size), path);
    if (!text) return text.error();
    return std::optional(std::move(*text));
}

Result<void> rename_file(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) return SysError{"rename to", to, errno};
    return {};
}

}  // namespace procd::sys
