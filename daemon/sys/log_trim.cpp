#include "daemon/sys/log_trim.hpp"

#include <algorithm>

namespace procd::sys {
namespace {

constexpr std::uint64_t k_worth_copying = 256 * 1024;  // less than that the cut moves itself

// The last block boundary before the end.
std::uint64_t last_boundary(std::uint64_t size, std::uint64_t block) {
    return size == 0 ? 0 : (size - 1) / block * block;
}

}  // namespace

std::optional<LogCut> plan_cut(std::uint64_t hole, std::uint64_t size, std::uint64_t block,
                               const LogLimits& limits, bool torrent) {
    if (limits.max == 0 || size < hole || size - hole < limits.max) return std::nullopt;
    const bool lazy = torrent && limits.keep == 1;
    if (lazy && (size - hole) / 2 < limits.max) return std::nullopt;
    if (lazy || limits.keep == 0) {
        const std::uint64_t stays = lazy ? limits.max : limits.max / 2;
        const std::uint64_t end = last_boundary(size - std::min(size, stays), block);
        if (end <= hole) return std::nullopt;
        return LogCut{end, {}, torrent};
    }
    const std::uint64_t end = last_boundary(size, block);
    if (end <= hole) return std::nullopt;
    LogCut cut{end, {}, false};
    const std::uint64_t cut_off = end - hole;
    const std::uint64_t unit = std::max(limits.max, block);  // a piece is no smaller than what can be cut
    if (cut_off / 2 < unit) {
        cut.pieces.push_back({hole, end});
        return cut;
    }
    const std::uint64_t wanted = (cut_off - 1) / unit + 1;
    const std::uint64_t count = std::min<std::uint64_t>(wanted, limits.keep);
    const std::uint64_t copied = wanted <= limits.keep ? cut_off : count * unit;
    std::uint64_t begin = end - copied;
    for (std::uint64_t left = count; left > 0; --left) {
        const std::uint64_t next = left == 1 ? end : begin + (end - begin) / left;
        cut.pieces.push_back({begin, next});
        begin = next;
    }
    return cut;
}

std::optional<ByteRange> plan_more(const LogCut& cut, std::uint64_t size, std::uint64_t block,
                                   const LogLimits& limits) {
    if (cut.pieces.empty() || size <= cut.end) return std::nullopt;
    const std::uint64_t room = limits.max * 2 - std::min(limits.max * 2, cut.pieces.back().size());
    const std::uint64_t end = std::min(last_boundary(size, block), cut.end + room / block * block);
    if (end < cut.end + k_worth_copying) return std::nullopt;
    return ByteRange{cut.end, end};
}

bool LogPace::is_torrent(std::uint64_t grown, Duration since, std::uint64_t max) {
    const double seconds = std::chrono::duration<double>(std::max(since, Duration(1))).count();
    return static_cast<double>(grown) / seconds >= static_cast<double>(std::min(max, k_most_copied));
}

LogPace::Duration LogPace::next(std::uint64_t used, std::uint64_t grown, Duration since, std::uint64_t max) {
    quiet_ = grown == 0 ? quiet_ + 1 : 0;
    if (used >= max) return k_shortest;
    if (grown == 0 || since <= Duration::zero()) return grown == 0 ? k_longest : k_shortest;
    const double rate = static_cast<double>(grown) / static_cast<double>(since.count());
    const double half = static_cast<double>(max - used) / rate / 2;
    if (half >= static_cast<double>(k_longest.count())) return k_longest;
    return std::max(k_shortest, Duration(static_cast<Duration::rep>(half)));
}

}  // namespace procd::sys
