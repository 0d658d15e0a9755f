#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log_files.hpp"

namespace procd {

// A log, line by line, in bounded memory: from its beginning or from the last so many lines on, and then on
// as it grows. Cuts neither lose nor repeat a byte for it; where it was overtaken by them it says so, and
// goes on at the beginning of a line.
class LogReader {
  public:
    // What is passed on at once, at most. A line up to that long is never torn.
    static constexpr std::size_t k_most_bytes = std::size_t{64} << 10;

    explicit LogReader(LogFiles files) : files_(std::move(files)), buffer_(k_most_bytes) {}

    // Begins at the last `lines` lines, an unfinished one too; none: at the first that is whole. It reads
    // backwards, no more than it takes. following: it goes on as the log grows, and a line that is not
    // finished yet is of those to come; else it ends where the log ends now, so that a busy writer is no
    // endless log.
    Result<void> begin_at_last(std::optional<std::uint64_t> lines, bool following);

    // Goes on behind what another reader has read of it; at the beginning, where it was truncated since.
    Result<void> go_on_at(const LogFiles::Place& place, bool following);
    // Behind what was passed on.
    LogFiles::Place place() const { return files_.place_of(position_); }

    struct Lines {
        std::string_view text;      // valid until the next call; empty: nothing more for now
        std::uint64_t dropped = 0;  // bytes before `text` that were gone before they could be read
        bool truncated = false;     // by its writer: `text` is from the new beginning
    };
    // The next whole lines. A line that is longer than k_most_bytes comes in parts, not within a UTF-8
    // character. complete: nobody will add to the log, so its last line is whole as it is.
    Result<Lines> next(bool complete);

    const LogFiles& files() const { return files_; }

  private:
    struct Filled {
        std::size_t size = 0;
        bool ended = false;  // there is no more for now
    };
    // As many bytes from `offset` on as are there and fit.
    Result<Filled> fill(std::uint64_t offset, std::size_t most);
    Result<void> search_backwards(const LogFiles::Extent& extent, std::uint64_t lines);
    void begin_at(std::uint64_t offset, bool torn);
    void begin_at_first(const LogFiles::Extent& extent);
    // Whether the log was truncated since. Then position_ is at its new beginning.
    Result<bool> begins_anew(Lines& lines);
    // What of the buffer can be passed on.
    std::size_t passable(const Filled& filled, bool complete) const;
    // Leaves out the rest of a line whose beginning is gone. False: it takes more bytes to tell.
    bool skip_torn_line(const Filled& filled, bool complete, Lines& lines);

    LogFiles files_;
    std::vector<char> buffer_;
    std::uint64_t position_ = 0;
    std::optional<std::uint64_t> until_;
    std::uint64_t truncations_ = 0;  // when these were offsets
    Lines untold_;                   // what happened before a line that is not whole yet
    bool torn_ = false;              // the beginning of the line at position_ is gone
};

}  // namespace procd
