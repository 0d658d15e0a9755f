#include "base/log_files.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace procd {
namespace {

using Clock = std::chrono::steady_clock;

// An index that cannot be read stands for an odd sequence of its own.
constexpr std::uint64_t k_unreadable = ~std::uint64_t{0};
// More is no place in any file.
constexpr std::uint64_t k_highest_offset = std::uint64_t{1} << 62;

Result<std::size_t> read_at(int fd, const std::string& path, std::uint64_t offset, std::span<char> buffer) {
    ssize_t got;
    do {
        got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
    } while (got < 0 && errno == EINTR);
    if (got < 0) return SysError{"read", path, errno};
    return static_cast<std::size_t>(got);
}

}  // namespace

Result<LogFiles> LogFiles::open(const std::string& path, std::optional<uid_t> owner,
                                std::function<bool()> given_up) {
    LogFiles files(path, owner, std::move(given_up));
    const std::size_t slash = path.rfind('/');
    files.name_ = slash == std::string::npos ? path : path.substr(slash + 1);
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    files.directory_.reset(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!files.directory_) return SysError{"open", directory, errno};
    auto file = files.open_file(files.name_);
    if (!file) return file.error();
    files.file_ = *std::move(file);
    struct stat status {};
    if (::fstat(files.file_.get(), &status) != 0) return SysError{"stat", path, errno};
    files.device_ = status.st_dev;
    files.inode_ = status.st_ino;
    return files;
}

// O_NONBLOCK: a FIFO or a device in its place must not hold us.
Result<UniqueFd> LogFiles::open_file(const std::string& name) const {
    const std::string path = path_.substr(0, path_.size() - name_.size()) + name;
    constexpr int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    UniqueFd fd(::openat(directory_.get(), name.c_str(), flags));
    if (!fd) return SysError{"open", path, errno};
    struct stat status {};
    if (::fstat(fd.get(), &status) != 0) return SysError{"stat", path, errno};
    if (!S_ISREG(status.st_mode)) return SysError{"read (it is no regular file)", path, EINVAL};
    if (owner_ && status.st_uid != *owner_) return SysError{"read (it is another user's)", path, EPERM};
    return fd;
}

bool LogFiles::in_place() const {
    struct stat status {};
    return ::fstatat(directory_.get(), name_.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           status.st_dev == device_ && status.st_ino == inode_;
}

// ---- the index -------------------------------------------------------------------------------------------

// None: it is being written, or is no index. One that somebody has removed is right as it was, until procd
// has made another one.
Result<std::optional<LogIndex>> LogFiles::look_at_index() {
    struct stat status {};
    const bool held = index_file_ && ::fstat(index_file_.get(), &status) == 0;
    if (!held || status.st_nlink == 0) {
        auto opened = open_file(log_index_path(name_));
        if (!opened && opened.error().error != ENOENT) return opened.error();
        // One that procd is about to write says nothing yet.
        const bool says = opened && ::fstat(opened->get(), &status) == 0 && status.st_size > 0;
        if (opened && (!held || says)) index_file_ = *std::move(opened);
        if (!index_file_) return std::optional<LogIndex>(LogIndex{});
    }
    auto index = read_log_index(index_file_.get());
    if (index && *index && (*index)->start > k_highest_offset) return std::optional<LogIndex>();
    return index;
}

Result<LogIndex> LogFiles::index_at_rest() {
    const auto begin = Clock::now();
    auto since = begin;  // when the sequence was first seen as it is
    std::uint64_t seen = 0;
    for (;;) {
        auto looked = look_at_index();
        if (!looked) return looked.error();
        const LogIndex index = looked->value_or(LogIndex{k_unreadable, 0, 0, 0});
        if (index.at_rest() || index.sequence == not_awaited_) return index;
        const auto now = Clock::now();
        if (index.sequence != seen) {
            seen = index.sequence;
            since = now;
        }
        const bool held = index_file_ && log_index_is_held(index_file_.get());
        if (now - since >= k_patience && !held) {
            not_awaited_ = index.sequence;
            interrupted_ = true;
            return index;
        }
        if (now - begin >= k_most_patience) return SysError{"read", log_index_path(path_), EBUSY};
        if (given_up()) return canceled();
        std::this_thread::sleep_for(k_pause);
    }
}

SysError LogFiles::canceled() const {
    return {"read", path_, ECANCELED};
}

Result<bool> LogFiles::still_says(const LogIndex& index) {
    const auto now = look_at_index();
    if (!now) return now.error();
    return now->value_or(LogIndex{k_unreadable, 0, 0, 0}) == index;
}

// A truncation that was seen here already only gives other numbers to the bytes; their offsets here stay.
void LogFiles::take(const LogIndex& index) {
    if (index.generation == index_.generation + 1 && ahead_) {
        shift_ += index_.base - index.origin;
        end_ += index.origin - index_.base;
    } else if (index.generation != index_.generation) {
        ++truncations_;
        end_ = 0;
    }
    said_ = index_ = index;
    ahead_ = false;
    laid_out_ = false;
}

// Until procd says more. No hole is in the file any more, and no piece goes on in it.
void LogFiles::take_for_truncated(std::uint64_t size) {
    index_.start = index_.first = index_.origin = index_.base;
    ahead_ = true;
    laid_out_ = false;
    ++truncations_;
    end_ = index_.base + size;
}

// Every read goes through it, so who reads much in a row is asked here whether it is still wanted.
template <class Value, class Look>
Result<Value> LogFiles::settled(std::optional<std::uint64_t> reached, Look look) {
    const auto begin = Clock::now();
    const std::uint64_t truncations = truncations_;
    for (;;) {
        if (given_up()) return canceled();
        auto index = index_at_rest();
        if (!index) return index.error();
        if (!(*index == said_)) take(*index);
        const auto size = this->size();
        if (!size) return size.error();
        const std::uint64_t end = index_.base + *size;
        const std::uint64_t least = reached && truncations_ == truncations ? *reached - shift_ : 0;
        if (end < std::max({end_, index_.start, least})) {
            const auto truncated = still_says(said_);
            if (!truncated) return truncated.error();
            if (!*truncated) continue;  // it is being cut
            take_for_truncated(*size);
        }
        const bool whole = laid_out_ || lay_out_pieces();
        auto value = look(end);
        const auto unchanged = still_says(said_);
        if (!unchanged) return unchanged.error();
        const auto waited = Clock::now() - begin;
        // Pieces that do not add up: somebody removes them, or is about to say so.
        if (*unchanged && (whole || waited >= k_patience || !in_place())) {
            laid_out_ = true;
            end_ = end;
            return value;
        }
        if (waited >= k_most_patience) return SysError{"read", log_index_path(path_), EBUSY};
        if (*unchanged) std::this_thread::sleep_for(k_pause);
    }
}

// ---- the pieces ------------------------------------------------------------------------------------------

// Where each begins follows from the sizes: the newest ends where the file starts. False: they do not add up
// to what the index says.
bool LogFiles::lay_out_pieces() {
    pieces_.clear();
    piece_open_ = 0;
    piece_file_.reset();
    std::uint64_t end = index_.start;
    for (std::size_t number = 1; end > index_.first; ++number) {
        struct stat status {};
        if (number > k_most_pieces || ::fstatat(directory_.get(), log_piece_path(name_, number).c_str(),
                                                &status, AT_SYMLINK_NOFOLLOW) != 0)
            return false;
        const auto size = static_cast<std::uint64_t>(status.st_size);
        if (!S_ISREG(status.st_mode) || size > end - index_.first) return false;
        if (size > 0) pieces_.push_back({number, end - size, end});
        end -= size;
    }
    return true;
}

Result<LogFiles::Bytes> LogFiles::read_piece(std::uint64_t offset, std::span<char> buffer) {
    const auto piece =
        std::find_if(pieces_.begin(), pieces_.end(), [&](const Piece& each) { return each.begin <= offset; });
    if (piece_open_ != piece->number) {
        piece_open_ = 0;
        auto opened = open_file(log_piece_path(name_, piece->number));
        if (!opened && opened.error().error == ENOENT) return Bytes{piece->end, 0};
        if (!opened) return opened.error();
        piece_file_ = *std::move(opened);
        piece_open_ = piece->number;
    }
    const auto got = read_at(piece_file_.get(), log_piece_path(path_, piece->number), offset - piece->begin,
                             buffer.first(std::min<std::uint64_t>(buffer.size(), piece->end - offset)));
    if (!got) return got.error();
    if (*got == 0) return Bytes{piece->end, 0};
    return Bytes{offset, *got};
}

// ---- the stream ------------------------------------------------------------------------------------------

Result<std::uint64_t> LogFiles::size() const {
    struct stat status {};
    if (::fstat(file_.get(), &status) != 0) return SysError{"stat", path_, errno};
    return static_cast<std::uint64_t>(status.st_size);
}

Result<LogFiles::Bytes> LogFiles::read_file(std::uint64_t offset, std::span<char> buffer) {
    const auto got = read_at(file_.get(), path_, offset - index_.base, buffer);
    if (!got) return got.error();
    return Bytes{offset, *got};
}

Result<LogFiles::Bytes> LogFiles::read(std::uint64_t offset, std::span<char> buffer) {
    const std::uint64_t truncations = truncations_;
    return settled<Bytes>(offset, [&](std::uint64_t) -> Result<Bytes> {
        if (truncations_ != truncations) return Bytes{};
        const std::uint64_t first = pieces_.empty() ? index_.start : pieces_.back().begin;
        const std::uint64_t from = std::max(offset - shift_, first);
        auto bytes = from < index_.start ? read_piece(from, buffer) : read_file(from, buffer);
        if (bytes) bytes->begin += shift_;
        return bytes;
    });
}

Result<LogFiles::Extent> LogFiles::extent() {
    return settled<Extent>(std::nullopt, [&](std::uint64_t end) -> Result<Extent> {
        return Extent{(pieces_.empty() ? index_.start : pieces_.back().begin) + shift_, end + shift_};
    });
}

}  // namespace procd
