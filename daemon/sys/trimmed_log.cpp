#include "daemon/sys/trimmed_log.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace procd::sys {
namespace {

constexpr std::size_t k_copy_step = std::size_t{8} << 20;      // of copy_file_range, which nothing interrupts
constexpr std::uint64_t k_hole_step = std::uint64_t{1} << 20;  // its writer waits for as long as one takes
constexpr std::size_t k_copy_buffer = 256 * 1024;
constexpr int k_most_rounds = 4;  // of copying what was written while copying

bool is_unsupported(int error) {
    return error == EOPNOTSUPP || error == ENOSYS || error == EINVAL || error == EXDEV || error == EPERM;
}

std::uint64_t block_of(const struct stat& status) {
    return static_cast<std::uint64_t>(std::max<blksize_t>(status.st_blksize, 1));
}

std::string part_of(const std::string& piece) {
    return piece + ".part";
}

}  // namespace

// ---- complaints ------------------------------------------------------------------------------------------

void LogComplaints::complain(const std::string& topic, const std::string& text) {
    if (!std::exchange(said_[topic], true)) say_(text);
}

// ---- cutting ---------------------------------------------------------------------------------------------

bool LogCutter::shorten(int fd, std::uint64_t end, Way& way, int& error) const {
    if (!can_shorten(way)) return false;
    if (::fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, static_cast<off_t>(end)) == 0) return true;
    error = errno;
    struct stat status {};
    // EINVAL is also what a file says that its writer has truncated meanwhile.
    const bool truncated =
        error == EINVAL && ::fstat(fd, &status) == 0 && status.st_size <= static_cast<off_t>(end);
    way.collapse = truncated || !is_unsupported(error);
    return false;
}

bool LogCutter::punch(int fd, ByteRange head, Way& way, int& error) const {
    if (!can_punch(way) || head.size() == 0) return false;
    if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(head.begin),
                    static_cast<off_t>(head.size())) == 0)
        return true;
    error = errno;
    way.punch_hole = !is_unsupported(error);
    return false;
}

LogCutter::Cut LogCutter::cut(int fd, Way& way, ByteRange head, bool prefer_hole, int& error) const {
    error = EOPNOTSUPP;
    const bool punched = prefer_hole && punch(fd, head, way, error);
    const bool shortened = !punched && shorten(fd, head.end, way, error);
    // What is in a file that its writer has truncated is new: no head to be cut off.
    const bool truncated = !shortened && error == EINVAL && can_shorten(way);
    const bool done = punched || shortened || (!prefer_hole && !truncated && punch(fd, head, way, error));
    if (done) return shortened ? Cut::shortened : Cut::hole;
    return can_cut(way) ? Cut::failed : Cut::impossible;
}

// ---- looking ---------------------------------------------------------------------------------------------

// What one cut needs to know and to ask.
struct TrimmedLog::Trim {
    const LogDirectory& directory;
    LogCutter& cutter;
    LogComplaints& complaints;
    struct stat status {};
    std::optional<LogPlace> place;  // none: the name does not lead to this file any more

    int folder() const { return place->folder.get(); }
};

std::optional<TrimmedLog::Look> TrimmedLog::look(const LogDirectory& directory, LogCutter& cutter,
                                                 LogComplaints& complaints, LogPace::Duration since) {
    Trim now{directory, cutter, complaints, {}, std::nullopt};
    if (::fstat(fd(), &now.status) != 0) return std::nullopt;
    if (is_truncated(now.status)) begin_anew(now);
    if (!index_.at_rest()) end_change();  // there was no memory for all of the last cut
    if (index_is_stale_) write_index(complaints);
    auto size = static_cast<std::uint64_t>(now.status.st_size);
    Look look{0, index_.base + size - end_, limits_.max};
    end_ = index_.base + size;
    const bool torrent = since != k_calm && LogPace::is_torrent(look.grown, since, limits_.max);
    if (torrent && limits_.keep == 1) look.limit = limits_.max * 2;
    auto cut = plan_cut(hole(), size, block_of(now.status), limits_, torrent);
    // A hole that a torrent has left: the file gets as short as it looks.
    if (!cut && !torrent && hole() > 0 && hole() < size && cutter.can_shorten(way_))
        cut = LogCut{hole(), {}, false};
    if (cut) {
        if (cutter.can_cut(way_)) trim(now, *cut);
        if (!cutter.can_cut(way_)) {
            complaints.complain("cut " + std::to_string(now.status.st_dev),
                                "logs like " + path_ +
                                    " grow without limit: their file system can neither "
                                    "collapse a range nor punch a hole");
            return std::nullopt;
        }
        if (::fstat(fd(), &now.status) != 0) return std::nullopt;
        size = static_cast<std::uint64_t>(now.status.st_size);
        end_ = std::max(end_, index_.base + size);  // less: the next look sees it
    }
    look.used = size - std::min(hole(), size);
    return look;
}

bool TrimmedLog::is_at_rest() const {
    struct stat status {};
    return !index_is_stale_ && index_.at_rest() && ::fstat(fd(), &status) == 0 &&
           index_.base + static_cast<std::uint64_t>(status.st_size) == end_;
}

bool TrimmedLog::is_truncated(const struct stat& status) const {
    return index_.base + static_cast<std::uint64_t>(status.st_size) < end_;
}

bool TrimmedLog::is_truncated() const {
    struct stat status {};
    return ::fstat(fd(), &status) == 0 && is_truncated(status);
}

// What was there has had its numbers; the pieces are before a gap. gone: so much of its new head is cut off
// already.
void TrimmedLog::renumber(std::uint64_t gone) {
    joined_ = 0;
    ++index_.generation;
    index_.origin = end_;
    index_.base = index_.start = index_.first = end_ = end_ + gone;
}

// Who follows it may have heard of it or not: an index tells, also where there was none yet.
void TrimmedLog::begin_anew(Trim& now) {
    renumber(0);
    end_change();
    find_place(now);
    if (now.place) open_index(now);
}

void TrimmedLog::find_place(Trim& now) const {
    now.place.reset();
    auto place = now.directory.find(path_);
    struct stat named {};
    if (place && ::fstatat(place->folder.get(), place->name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        named.st_dev == now.status.st_dev && named.st_ino == now.status.st_ino)
        now.place = std::move(*place);
}

// ---- a cut -----------------------------------------------------------------------------------------------

// Of the two parts that take long, copying happens beside the log, and cutting comes last and is the
// kernel's, done whole: whoever kills procd in either of them leaves every byte in its place once.
void TrimmedLog::trim(Trim& now, LogCut cut) {
    find_place(now);
    if (now.place) open_index(now);
    const bool copied = cut.pieces.empty() || (now.place && copy_pieces(now, cut));
    if (is_truncated()) {  // meanwhile: what there is to be cut is told at the next look
        remove_parts(now, cut.pieces.size());
        return;
    }
    if (!copied) {
        // A limit is a limit; but then the newer half stays where it is.
        const auto size = static_cast<std::uint64_t>(now.status.st_size);
        const auto shorter = plan_cut(hole(), size, block_of(now.status), {limits_.max, 0});
        if (!shorter) return;
        cut = *shorter;
    }
    // What nobody has copied may go bit by bit.
    const bool in_steps = cut.hole && cut.pieces.empty() && now.cutter.can_punch(way_);
    LogCut step = cut;
    do {
        if (in_steps) step.end = std::min(cut.end, hole() + k_hole_step);
    } while (take_out(now, step) && step.end < cut.end);
}

bool TrimmedLog::take_out(Trim& now, const LogCut& cut) {
    begin_change();
    write_index(now.complaints);
    const std::size_t count = cut.pieces.size();
    if (count > 0) {
        shift_pieces(now, count);
        place_pieces(now, cut);
    } else if (cut.end > hole()) {
        drop_pieces(now);
    }
    int error = 0;
    bool shortened = false, left_hole = false;
    const std::string device = std::to_string(now.status.st_dev);
    switch (now.cutter.cut(fd(), way_, {hole(), cut.end}, cut.hole, error)) {
        case LogCutter::Cut::shortened:
            shortened = true;
            index_.base += cut.end;
            index_.start = index_.base;
            now.complaints.went_well("cut " + device);
            break;
        case LogCutter::Cut::hole:
            left_hole = true;
            index_.start = index_.base + cut.end;
            now.complaints.went_well("cut " + device);
            break;
        case LogCutter::Cut::failed:
            take_back_pieces(now, count);
            // Else it was a hole to be tidied away, where that cannot be.
            if (cut.end > hole() && !is_truncated())
                now.complaints.complain("cut " + device,
                                        SysError{"cut the head off", path_, error}.message());
            break;
        case LogCutter::Cut::impossible:
            take_back_pieces(now, count);
            break;
    }
    std::uint64_t first = index_.start;
    for (std::size_t i = 0; i < joined_; ++i) first -= std::min(first, pieces_[i]);
    index_.first = first;
    // At the last moment. Readers hear of both together, so that none takes the one for the other.
    const bool truncated = is_truncated();
    if (truncated) renumber(shortened ? cut.end : 0);
    end_change();
    if (now.place && !index_fd_) open_index(now);  // there is room now
    write_index(now.complaints);
    return left_hole && !truncated;
}

// ---- pieces ----------------------------------------------------------------------------------------------

UniqueFd TrimmedLog::new_file(Trim& now, const std::string& name) {
    ::unlinkat(now.folder(), name.c_str(), 0);
    UniqueFd file = open_beneath(now.folder(), name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (file && ::geteuid() == 0 && ::fchown(file.get(), uid_, gid_) != 0) {
        const int error = errno;
        ::unlinkat(now.folder(), name.c_str(), 0);
        file.reset();
        errno = error;
    }
    return file;
}

bool TrimmedLog::copy(Trim& now, int from, int to, ByteRange range) {
    auto offset = static_cast<off64_t>(range.begin);
    const auto end = static_cast<off64_t>(range.end);
    bool in_kernel = now.cutter.copies_in_kernel();
    while (in_kernel && offset < end) {
        const auto step = std::min(k_copy_step, static_cast<std::size_t>(end - offset));
        const ssize_t copied = ::copy_file_range(from, &offset, to, nullptr, step, 0);
        if (copied > 0 || (copied < 0 && errno == EINTR)) continue;
        in_kernel = false;
        if (copied < 0 && !is_unsupported(errno)) return false;
    }
    std::vector<char> buffer(offset < end ? k_copy_buffer : 0);
    while (offset < end) {
        const auto step = std::min(buffer.size(), static_cast<std::size_t>(end - offset));
        const ssize_t got = ::pread(from, buffer.data(), step, offset);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) errno = ESTALE;  // its writer has truncated it
        if (got <= 0) return false;
        for (ssize_t done = 0; done < got;) {
            const ssize_t put = ::write(to, buffer.data() + done, static_cast<std::size_t>(got - done));
            if (put < 0 && errno == EINTR) continue;
            if (put <= 0) return false;
            done += put;
        }
        offset += got;
    }
    return true;
}

// Copies what is to be kept to "<log>.<number>.part", and what is written meanwhile to the newest of them.
bool TrimmedLog::copy_pieces(Trim& now, LogCut& cut) {
    const std::string topic = "piece " + std::to_string(now.status.st_dev);
    const UniqueFd from(::open(("/proc/self/fd/" + std::to_string(fd())).c_str(), O_RDONLY | O_CLOEXEC));
    const std::size_t count = cut.pieces.size();
    UniqueFd to;
    bool fine = static_cast<bool>(from);
    for (std::size_t made = 0; fine && made < count; ++made) {
        to = new_file(now, part_of(log_piece_path(now.place->name, count - made)));
        fine = to && copy(now, from.get(), to.get(), cut.pieces[made]);
    }
    if (!fine) {
        const SysError error{"copy", "the head of " + path_ + " to a piece", errno};
        if (!is_truncated()) now.complaints.complain(topic, error.message() + "; it is lost");
        remove_parts(now, count);
        return false;
    }
    now.complaints.went_well(topic);
    for (int round = 0; round < k_most_rounds; ++round) {
        struct stat status {};
        if (::fstat(fd(), &status) != 0) break;
        const auto more =
            plan_more(cut, static_cast<std::uint64_t>(status.st_size), block_of(status), limits_);
        if (!more) break;
        if (!copy(now, from.get(), to.get(), *more)) {
            (void)::ftruncate(to.get(), static_cast<off_t>(cut.pieces.back().size()));
            break;
        }
        cut.end = cut.pieces.back().end = more->end;
    }
    return true;
}

void TrimmedLog::remove_parts(Trim& now, std::size_t count) const {
    if (!now.place) return;
    for (std::size_t number = 1; number <= count; ++number)
        ::unlinkat(now.folder(), part_of(log_piece_path(now.place->name, number)).c_str(), 0);
}

// Makes room for so many newer ones. Whatever a user has put in a piece's place is moved on or removed like
// a piece, by its name alone; but it is not believed to be one.
void TrimmedLog::shift_pieces(Trim& now, std::size_t by) {
    const auto name = [&](std::size_t number) { return log_piece_path(now.place->name, number); };
    for (std::size_t i = 0; i < joined_; ++i) {
        struct stat status {};
        const bool ours = ::fstatat(now.folder(), name(i + 1).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                          S_ISREG(status.st_mode) && static_cast<std::uint64_t>(status.st_size) == pieces_[i];
        if (!ours) joined_ = i;
    }
    for (std::size_t number = pieces_.size(); number > 0; --number) {
        if (number + by > limits_.keep)
            ::unlinkat(now.folder(), name(number).c_str(), 0);
        else if (::renameat(now.folder(), name(number).c_str(), now.folder(), name(number + by).c_str()) != 0)
            joined_ = std::min(joined_, number - 1);
    }
    pieces_.insert(pieces_.begin(), by, 0);
    if (pieces_.size() > limits_.keep) pieces_.resize(limits_.keep);
    joined_ = std::min(joined_, pieces_.size() - by);
}

// What goes next is not kept: they end where nothing goes on.
void TrimmedLog::drop_pieces(Trim& now) {
    joined_ = 0;
    if (!now.place) return;
    for (std::size_t number = 1; number <= pieces_.size(); ++number)
        ::unlinkat(now.folder(), log_piece_path(now.place->name, number).c_str(), 0);
    pieces_.clear();
}

void TrimmedLog::place_pieces(Trim& now, const LogCut& cut) {
    const std::size_t count = cut.pieces.size();
    std::size_t joined = count + joined_;
    for (std::size_t number = 1; number <= count; ++number) {
        const std::string name = log_piece_path(now.place->name, number);
        pieces_[number - 1] = cut.pieces[count - number].size();
        if (::renameat(now.folder(), part_of(name).c_str(), now.folder(), name.c_str()) == 0) continue;
        now.complaints.complain("name " + path_, SysError{"rename", path_ + "'s piece", errno}.message());
        ::unlinkat(now.folder(), part_of(name).c_str(), 0);
        joined = std::min(joined, number - 1);
    }
    joined_ = joined;
}

// The head was not cut off after all.
void TrimmedLog::take_back_pieces(Trim& now, std::size_t count) {
    if (count == 0) return;
    const auto name = [&](std::size_t number) { return log_piece_path(now.place->name, number); };
    for (std::size_t number = 1; number <= count; ++number) ::unlinkat(now.folder(), name(number).c_str(), 0);
    for (std::size_t number = count + 1; number <= pieces_.size(); ++number)
        if (::renameat(now.folder(), name(number).c_str(), now.folder(), name(number - count).c_str()) != 0)
            joined_ = std::min(joined_, number - 1);
    pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(count));
    joined_ -= std::min(joined_, count);
}

// ---- the index -------------------------------------------------------------------------------------------

void TrimmedLog::open_index(Trim& now) {
    const std::string name = log_index_path(now.place->name);
    struct stat ours {
    }, named{};
    if (index_fd_ && ::fstat(index_fd_.get(), &ours) == 0 &&
        ::fstatat(now.folder(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
        ours.st_dev == named.st_dev && ours.st_ino == named.st_ino)
        return;
    index_fd_ = new_file(now, name);
    if (index_fd_) {  // without it a reader may only be less patient
        (void)static_cast<bool>(hold_log_index(index_fd_.get()));
        // One in place of one that was removed: an empty one would say that nothing was ever cut.
        if (index_.sequence > 0) write_index(now.complaints);
    } else
        now.complaints.complain("index " + path_, SysError{"open", log_index_path(path_), errno}.message());
}

void TrimmedLog::write_index(LogComplaints& complaints) {
    index_is_stale_ = false;
    if (!index_fd_) return;
    const auto written = write_log_index(index_fd_.get(), index_);
    index_is_stale_ = !written;
    if (!written) complaints.complain("index " + path_, written.error().message() + " (" + path_ + ")");
}

// Odd from here to there, whatever was interrupted between them before.
void TrimmedLog::begin_change() {
    index_.sequence = (index_.sequence + 1) | 1;
}

void TrimmedLog::end_change() {
    index_.sequence = (index_.sequence | 1) + 1;
    index_is_stale_ = true;
}

}  // namespace procd::sys
