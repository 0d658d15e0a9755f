#include <algorithm>

#include <doctest/doctest.h>

#include "daemon/sys/log_trim.hpp"

using namespace procd::sys;

namespace {

constexpr std::uint64_t k_block = 4096;
constexpr std::uint64_t k_limit = 16 * k_block;

std::optional<LogCut> cut(std::uint64_t size, unsigned keep, std::uint64_t hole = 0) {
    return plan_cut(hole, size, k_block, {k_limit, keep});
}

using Ranges = std::vector<ByteRange>;

}  // namespace

TEST_CASE("a log below its limit is left alone") {
    CHECK_FALSE(cut(0, 1));
    CHECK_FALSE(cut(k_limit - 1, 1));
    CHECK_FALSE(plan_cut(0, 1 << 30, k_block, {0, 1}));
}

TEST_CASE("a log at its limit loses all but its last block, which is copied first") {
    CHECK(cut(k_limit, 1) == LogCut{15 * k_block, {{0, 15 * k_block}}});
    CHECK(cut(k_limit + 1, 1) == LogCut{k_limit, {{0, k_limit}}});
    CHECK(cut(k_limit + 5000, 3) == LogCut{17 * k_block, {{0, 17 * k_block}}});
}

TEST_CASE("what a hole has taken is neither counted nor copied") {
    CHECK_FALSE(cut(100 * k_block + k_limit - 1, 1, 100 * k_block));
    CHECK(cut(100 * k_block + k_limit + 1, 1, 100 * k_block) ==
          LogCut{116 * k_block, {{100 * k_block, 116 * k_block}}});
}

TEST_CASE("without pieces the newer half of the limit stays") {
    CHECK(cut(k_limit, 0) == LogCut{7 * k_block, {}});
    CHECK(cut(k_limit + 1, 0) == LogCut{8 * k_block, {}});
    CHECK(cut(100 * k_block, 0) == LogCut{91 * k_block, {}});
}

TEST_CASE("a torrent becomes several pieces, and what would be evicted at once is not copied") {
    CHECK(cut(2 * k_limit, 1) == LogCut{31 * k_block, {{0, 31 * k_block}}});
    CHECK(cut(2 * k_limit + 1, 1) == LogCut{32 * k_block, {{16 * k_block, 32 * k_block}}});
    CHECK(cut(10 * k_limit + 1, 2)->pieces ==
          Ranges{{128 * k_block, 144 * k_block}, {144 * k_block, 160 * k_block}});
    CHECK(cut(3 * k_limit + 1, 100)->pieces ==
          Ranges{{0, 16 * k_block}, {16 * k_block, 32 * k_block}, {32 * k_block, 48 * k_block}});
}

TEST_CASE("while a torrent lasts nothing is copied where at most one piece is kept") {
    const auto torrent = [](std::uint64_t size, unsigned keep) {
        return plan_cut(0, size, k_block, {k_limit, keep}, true);
    };
    CHECK_FALSE(torrent(2 * k_limit - 1, 1));
    CHECK(torrent(2 * k_limit, 1) == LogCut{15 * k_block, {}, true});
    CHECK(torrent(10 * k_limit + 1, 1) == LogCut{144 * k_block, {}, true});
    CHECK(torrent(k_limit + 1, 0) == LogCut{8 * k_block, {}, true});
    CHECK(torrent(k_limit + 1, 2) == LogCut{k_limit, {{0, k_limit}}, false});
    using std::chrono::milliseconds;
    CHECK(LogPace::is_torrent(1000, milliseconds(1000), 1000));
    CHECK_FALSE(LogPace::is_torrent(999, milliseconds(1000), 1000));
    CHECK(LogPace::is_torrent(10, milliseconds(10), 1000));
    CHECK(LogPace::is_torrent(1, milliseconds(0), 1000));
    CHECK_FALSE(LogPace::is_torrent(0, milliseconds(0), 1000));
    // However long it would take to fill a large limit.
    constexpr std::uint64_t k_large = std::uint64_t{1} << 40, k_copied = LogPace::k_most_copied;
    CHECK(LogPace::is_torrent(k_copied / 100 + 1, milliseconds(10), k_large));
    CHECK_FALSE(LogPace::is_torrent(k_copied / 100, milliseconds(10), k_large));
}

TEST_CASE("whatever the sizes, a cut is whole blocks of the head, and its pieces are its end without a gap") {
    for (std::uint64_t limit : {1UL, 100UL, 4096UL, 5000UL, 65536UL, 1048576UL})
        for (unsigned keep : {0U, 1U, 3U, 100U})
            for (std::uint64_t hole : {std::uint64_t{0}, 7 * k_block})
                for (std::uint64_t size = hole; size < hole + 40 * limit + 3 * k_block;
                     size += limit / 3 + 1 + size / 50) {
                    const auto planned = plan_cut(hole, size, k_block, {limit, keep});
                    if (!planned) {
                        CHECK((size - hole < limit || size - hole <= k_block || keep == 0));
                        continue;
                    }
                    REQUIRE(planned->end % k_block == 0);
                    REQUIRE(planned->end > hole);
                    REQUIRE(planned->end < size);
                    REQUIRE(planned->pieces.size() <= keep);
                    std::uint64_t at = planned->pieces.empty() ? planned->end : planned->pieces.front().begin;
                    REQUIRE(at >= hole);
                    for (const ByteRange& piece : planned->pieces) {
                        REQUIRE(piece.begin == at);
                        REQUIRE(piece.end > piece.begin);
                        // A limit of less than a block gives no crumbs of pieces.
                        REQUIRE((piece.size() <= std::max(limit, k_block) || planned->pieces.size() == 1));
                        REQUIRE((piece.size() >= k_block || planned->pieces.size() == 1));
                        REQUIRE(piece.size() <= 2 * limit + k_block);
                        at = piece.end;
                    }
                    REQUIRE(at == planned->end);
                    // Older pieces stay only where the new ones go on from them.
                    const bool gap = !planned->pieces.empty() && planned->pieces.front().begin > hole;
                    if (gap) REQUIRE(planned->pieces.size() == keep);
                }
}

TEST_CASE("what is written while it is copied goes to the newest piece, until that is full") {
    constexpr std::uint64_t k_mega = 1 << 20;
    const LogLimits limits{16 * k_mega, 1};
    const LogCut first{16 * k_mega, {{0, 16 * k_mega}}};
    CHECK_FALSE(plan_more(first, 16 * k_mega + 1000, k_block, limits));
    CHECK(plan_more(first, 20 * k_mega + 1, k_block, limits) == ByteRange{16 * k_mega, 20 * k_mega});
    CHECK(plan_more(first, 80 * k_mega, k_block, limits) == ByteRange{16 * k_mega, 32 * k_mega});
    CHECK_FALSE(plan_more({32 * k_mega, {{0, 32 * k_mega}}}, 80 * k_mega, k_block, limits));
    CHECK_FALSE(plan_more({16 * k_mega, {}}, 80 * k_mega, k_block, {16 * k_mega, 0}));
}

TEST_CASE("the faster a log grows the sooner it is looked at; one that does not is idle") {
    using std::chrono::milliseconds;
    LogPace pace;
    constexpr std::uint64_t k_max = 16 << 20;
    // 1 MiB in 100 ms, and 8 MiB to go: 800 ms, of which half.
    CHECK(pace.next(8 << 20, 1 << 20, milliseconds(100), k_max) == milliseconds(400));
    CHECK(pace.next(15 << 20, 15 << 20, milliseconds(10), k_max) == LogPace::k_shortest);
    CHECK(pace.next(20 << 20, 1, milliseconds(10), k_max) == LogPace::k_shortest);
    CHECK(pace.next(100, 1, milliseconds(10), k_max) == LogPace::k_longest);
    CHECK(pace.next(100, 100, milliseconds(0), k_max) == LogPace::k_shortest);
    CHECK_FALSE(pace.is_quiet());
    CHECK(pace.next(100, 0, milliseconds(10), k_max) == LogPace::k_longest);
    CHECK_FALSE(pace.is_quiet());
    CHECK(pace.next(100, 0, milliseconds(1000), k_max) == LogPace::k_longest);
    CHECK(pace.is_quiet());
    pace.wake();
    CHECK_FALSE(pace.is_quiet());
}
