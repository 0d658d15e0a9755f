#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

// When a log is looked at, and what is cut off it then: arithmetic alone, no file is touched here.
namespace procd::sys {

constexpr unsigned k_most_pieces = 100;

struct LogLimits {
    std::uint64_t max = 0;  // bytes; 0: no limit
    unsigned keep = 0;      // pieces, up to k_most_pieces
};

// Bytes [begin, end) of the file.
struct ByteRange {
    std::uint64_t begin = 0, end = 0;

    std::uint64_t size() const { return end - begin; }
    bool operator==(const ByteRange&) const = default;
};

struct LogCut {
    std::uint64_t end = 0;          // all before it goes; a multiple of the block size, less than the file's
    std::vector<ByteRange> pieces;  // what is copied first, the oldest first: never more than are kept
    bool hole = false;              // leave a hole for now, which keeps the writer waiting least

    bool operator==(const LogCut&) const = default;
};

// What to cut off a file of `size` bytes whose first `hole` are gone already. None: it is within its limit,
// or a block is more than it may have.
//
// All but the last, unfinished block is copied to one piece. Where that would be more than two limits' worth
// (a child wrote faster than anybody looked) it becomes several, and what would be evicted at once is not
// copied. Without pieces the newer half of the limit stays, so that there is always something to read.
//
// torrent: it fills its limit in next to no time. Then a piece is out of date before it is worth its copy:
// with one or none to keep, the file keeps its newest bytes itself, up to the piece's share more, and the
// older ones are dropped. What is left is cut properly when it gets calmer.
std::optional<LogCut> plan_cut(std::uint64_t hole, std::uint64_t size, std::uint64_t block,
                               const LogLimits& limits, bool torrent = false);

// What was written while the pieces were copied: how far a cut can be moved on, so that little is left for
// the cut itself to move, and the child waits for little. None: it is not worth while, or the piece is full.
std::optional<ByteRange> plan_more(const LogCut& cut, std::uint64_t size, std::uint64_t block,
                                   const LogLimits& limits);

// When to look again at a log that is being written to.
class LogPace {
  public:
    using Duration = std::chrono::nanoseconds;
    static constexpr Duration k_shortest = std::chrono::milliseconds(10);
    static constexpr Duration k_longest = std::chrono::seconds(1);
    static constexpr int k_quiet_looks = 2;  // in a row without a byte more, and it is idle

    // It has `used` bytes of the limit now, and has grown by `grown` in the time `since` the last look: half
    // the time that it needs to its limit at this rate.
    Duration next(std::uint64_t used, std::uint64_t grown, Duration since, std::uint64_t max);
    // Whether that is so fast that it would fill its limit in less than a second, or that copying it would
    // cost more than 0.5 % of a CPU.
    static constexpr std::uint64_t k_most_copied = std::uint64_t{8} << 20;  // bytes a second
    static bool is_torrent(std::uint64_t grown, Duration since, std::uint64_t max);
    bool is_quiet() const { return quiet_ >= k_quiet_looks; }
    // It was written to, when nobody looked.
    void wake() { quiet_ = 0; }

  private:
    int quiet_ = 0;
};

}  // namespace procd::sys
