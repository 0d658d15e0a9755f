#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <vector>

#include "base/log_index.hpp"
#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "daemon/sys/log_file.hpp"
#include "daemon/sys/log_trim.hpp"

namespace procd::sys {

// What may be used of the kernel; each one off is what a machine without it sees.
struct LogFeatures {
    bool collapse = true;    // FALLOC_FL_COLLAPSE_RANGE: the head goes, the file gets shorter
    bool punch_hole = true;  // FALLOC_FL_PUNCH_HOLE: the head's space goes, the length stays
    bool copy_file_range = true;
    bool inotify = true;  // to hear of the first byte; without, a timer looks
};

// What goes wrong with logs, said once: the same again is silent until it has gone well in between.
class LogComplaints {
  public:
    using Say = std::function<void(std::string)>;
    explicit LogComplaints(Say say) : say_(std::move(say)) {}

    // topic: what stays silent after the first time.
    void complain(const std::string& topic, const std::string& text);
    void went_well(const std::string& topic) { said_.erase(topic); }

  private:
    Say say_;
    std::map<std::string, bool> said_;
};

// How heads are cut off. What a file cannot do is known of that file alone, found out at its first cut: its
// user can make it one that cannot, and nobody else's log must grow for that.
class LogCutter {
  public:
    explicit LogCutter(LogFeatures features) : features_(features) {}

    struct Way {
        bool collapse = true, punch_hole = true;
    };
    enum class Cut { shortened, hole, failed, impossible };
    // Cuts off the head, of which the first `hole` bytes are gone already. prefer_hole: rather than shorten
    // the file, which waits until all that stays is on the disk. error: why it failed.
    Cut cut(int fd, Way& way, ByteRange head, bool prefer_hole, int& error) const;
    bool can_shorten(const Way& way) const { return way.collapse && features_.collapse; }
    bool can_punch(const Way& way) const { return way.punch_hole && features_.punch_hole; }
    bool can_cut(const Way& way) const { return can_shorten(way) || can_punch(way); }
    bool copies_in_kernel() const { return features_.copy_file_range; }

  private:
    bool shorten(int fd, std::uint64_t end, Way& way, int& error) const;
    bool punch(int fd, ByteRange head, Way& way, int& error) const;

    LogFeatures features_;
};

// One log under its limit. It is known by its open file; its name is only where pieces and index go, as long
// as the name still leads to that file. Its user may do to the folder whatever they like.
class TrimmedLog {
  public:
    // fd: opened for writing, shared with whoever writes.
    TrimmedLog(std::shared_ptr<const UniqueFd> fd, std::string path, uid_t uid, gid_t gid, LogLimits limits)
        : fd_(std::move(fd)), path_(std::move(path)), uid_(uid), gid_(gid), limits_(limits) {}

    struct Look {
        std::uint64_t used = 0;   // bytes in the file, after the cut if there was one
        std::uint64_t grown = 0;  // since the last look
        std::uint64_t limit = 0;  // used bytes at which it is cut, if it grows on like this
    };
    // Cuts the head off if it is over its limit. since: the last look. None: it cannot be looked at or cut
    // any more.
    std::optional<Look> look(const LogDirectory& directory, LogCutter& cutter, LogComplaints& complaints,
                             LogPace::Duration since = k_calm);
    static constexpr LogPace::Duration k_calm = LogPace::Duration::max();

    // Whether nothing was written since the last look, and nothing is left to do.
    bool is_at_rest() const;
    int fd() const { return fd_->get(); }
    const std::string& path() const { return path_; }

  private:
    struct Trim;

    std::uint64_t hole() const { return index_.start - index_.base; }
    // By its writer, since it was last looked at; as far as its size tells.
    bool is_truncated(const struct stat& status) const;
    bool is_truncated() const;
    void renumber(std::uint64_t gone);
    void begin_anew(Trim& trim);
    void find_place(Trim& trim) const;
    void trim(Trim& trim, LogCut cut);
    bool take_out(Trim& trim, const LogCut& cut);  // whether there is a hole now up to where it ends
    bool copy_pieces(Trim& trim, LogCut& cut);
    bool copy(Trim& trim, int from, int to, ByteRange range);
    UniqueFd new_file(Trim& trim, const std::string& name);
    void open_index(Trim& trim);
    void write_index(LogComplaints& complaints);
    void begin_change();
    void end_change();
    void shift_pieces(Trim& trim, std::size_t by);
    void drop_pieces(Trim& trim);
    void place_pieces(Trim& trim, const LogCut& cut);
    void take_back_pieces(Trim& trim, std::size_t count);
    void remove_parts(Trim& trim, std::size_t count) const;

    std::shared_ptr<const UniqueFd> fd_;
    std::string path_;
    uid_t uid_;
    gid_t gid_;
    LogLimits limits_;
    LogIndex index_;
    UniqueFd index_fd_;
    bool index_is_stale_ = false;  // it could not be written
    LogCutter::Way way_;
    std::vector<std::uint64_t> pieces_;  // their sizes, the newest first
    std::size_t joined_ = 0;             // so many of them go on into one another and into the file
    std::uint64_t end_ = 0;              // of the stream, when it was last looked at
};

}  // namespace procd::sys
