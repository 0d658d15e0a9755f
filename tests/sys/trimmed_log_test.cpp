#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "tests/sys/log_fixture.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

namespace {

constexpr std::uint64_t k_limit = TrimPlace::k_limit;
constexpr std::uint64_t k_step = TrimPlace::k_step;

std::uint64_t blocks_of(const std::string& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

void dozens_of_cuts(const std::string& path, LogFeatures features) {
    for (const unsigned keep : {0U, 1U, 3U}) {
        CAPTURE(keep);
        TrimPlace place(path + "/keep" + std::to_string(keep), features);
        NumberedLog log(place.directory, {k_limit, keep});
        place.write_and_look(log, 150);
        const std::uint64_t left = log.check();
        CHECK(log.index().sequence >= 60);
        CHECK(log.piece_sizes().size() == keep);
        CHECK(left >= keep * k_limit);
        CHECK(left <= (keep + 1) * (k_limit + k_step * NumberedLog::k_line));
        CHECK(blocks_of(log.file()) <= k_limit + k_step * NumberedLog::k_line);
        CHECK(place.said.empty());
        place.directory.remove(log.file());
        CHECK_FALSE(exists(log.file(".index")));
        CHECK_FALSE(exists(log.file(".1")));
    }
}

void torrent(const std::string& path, bool can_shorten) {
    for (const unsigned keep : {0U, 1U}) {
        CAPTURE(keep);
        TrimPlace place(path + "/keep" + std::to_string(keep));
        NumberedLog log(place.directory, {k_limit, keep});
        for (int i = 0; i < 20; ++i) {
            log.write_lines(k_limit / NumberedLog::k_line);
            const auto seen = place.look(log, std::chrono::milliseconds(10));
            REQUIRE(seen);
            CHECK(seen->used < 2 * k_limit);
        }
        CHECK(log.piece_sizes().empty());
        CHECK(log.index().start > log.index().base);
        CHECK(log.check() >= (keep + 1) * k_limit / 2);
        CHECK(blocks_of(log.file()) < 2 * k_limit + 8192);
        CHECK(place.look(log)->used < k_limit);
        CHECK((log.index().start == log.index().base) == can_shorten);
        CHECK(log.check() >= (keep + 1) * k_limit / 2);
        place.write_and_look(log, 20);
        log.check();
        CHECK(place.said.empty());
    }
}

}  // namespace

TEST_CASE("a log that was never cut has no index and no pieces") {
    TempDir dir;
    TrimPlace place(dir.file("logs"));
    NumberedLog log(place.directory, {k_limit, 1});
    log.write_lines(1000);
    CHECK(place.look(log)->used == 21000);
    CHECK(place.look(log)->grown == 0);
    CHECK_FALSE(exists(log.file(".index")));
    CHECK_FALSE(exists(log.file(".1")));
    log.check();
}

TEST_CASE("dozens of cuts lose and repeat nothing: by collapse") {
    TempDir dir;
    dozens_of_cuts(dir.path(), {});
}

TEST_CASE("dozens of cuts lose and repeat nothing: by holes, where there is no collapse") {
    TempDir dir;
    LogFeatures features;
    features.collapse = false;
    dozens_of_cuts(dir.path(), features);
}

TEST_CASE("dozens of cuts lose and repeat nothing: copied by reading and writing") {
    TempDir dir;
    LogFeatures features;
    features.copy_file_range = false;
    dozens_of_cuts(dir.path(), features);
}

TEST_CASE("dozens of cuts lose and repeat nothing: in memory") {
    TempMemory memory("size=16m");
    if (memory.path().empty()) return;
    dozens_of_cuts(memory.path(), {});
    dozens_of_cuts(memory.path() + "/again", {false, true, false, true});
}

TEST_CASE("where a head cannot be cut off a log is left growing, and that is said once") {
    TempDir dir;
    LogFeatures features;
    features.collapse = features.punch_hole = false;
    TrimPlace place(dir.file("logs"), features);
    NumberedLog first(place.directory, {k_limit, 1});
    NumberedLog second(place.directory, {k_limit, 1});
    for (NumberedLog* log : {&first, &second}) {
        log->write_lines(5 * k_step);
        CHECK_FALSE(place.look(*log));
        CHECK_FALSE(exists(log->file(".1")));
        CHECK_FALSE(exists(log->file(".1.part")));
        CHECK(log->check() == 5 * k_step * NumberedLog::k_line);
    }
    REQUIRE(place.said.size() == 1);
    CHECK(place.said[0].find("neither") != std::string::npos);
}

TEST_CASE("a torrent is cut to what is kept") {
    TempDir dir;
    TrimPlace place(dir.file("logs"));
    NumberedLog log(place.directory, {k_limit, 2});
    place.write_and_look(log, 10);
    log.write_lines(20 * k_limit / NumberedLog::k_line);
    CHECK(place.look(log)->used < 4096 + NumberedLog::k_line);
    CHECK(log.piece_sizes() == std::vector<std::uint64_t>{k_limit, k_limit});
    log.check();
    place.write_and_look(log, 30);
    log.check();
}

TEST_CASE("a torrent leaves a hole and no pieces, until it gets calmer") {
    TempDir dir;
    torrent(dir.path(), true);
    TempMemory memory("size=16m");
    if (!memory.path().empty()) torrent(memory.path(), false);
}

TEST_CASE("a long hole is left in steps, each of which is whole") {
    constexpr std::uint64_t k_large = 4 << 20, k_steps = 5;
    for (const bool punch_hole : {true, false}) {
        TempDir dir;
        TrimPlace place(dir.file("logs"), {true, punch_hole, true, true});
        NumberedLog log(place.directory, {k_large, 1});
        log.write_lines((2 * k_large + (k_steps << 20)) / NumberedLog::k_line);
        const std::uint64_t end = log.written() * NumberedLog::k_line;
        const auto seen = place.look(log, std::chrono::milliseconds(10));
        REQUIRE(seen);
        CHECK(seen->used >= k_large);
        CHECK(seen->used < k_large + 8192);
        CHECK(log.index().sequence == (punch_hole ? 2 * (k_large >> 20) + 2 * k_steps : 2));
        CHECK(log.index().base == (punch_hole ? 0 : end - seen->used));
        log.check();
        CHECK(place.said.empty());
    }
}

TEST_CASE("a log that its writer truncates begins anew") {
    for (const bool collapse : {true, false}) {
        TempDir dir;
        LogFeatures features;
        features.collapse = collapse;
        TrimPlace place(dir.file("logs"), features);
        NumberedLog log(place.directory, {k_limit, 1});
        place.write_and_look(log, 10);
        const LogIndex before = log.index();
        const std::uint64_t end = log.written() * NumberedLog::k_line;
        REQUIRE(::ftruncate(log.fd()->get(), 0) == 0);
        log.write_lines(10);
        CHECK(place.look(log)->used == 210);
        CHECK(log.index() == LogIndex{before.sequence + 2, end, end, end, 1, end});
        place.write_and_look(log, 30);
        log.check();
    }
}

TEST_CASE("a log whose name is gone is held to its limit all the same, and makes no file") {
    TempDir dir;
    TrimPlace place(dir.file("logs"));
    for (const bool cut_before : {false, true}) {
        NumberedLog log(place.directory, {k_limit, 1});
        if (cut_before) place.write_and_look(log, 10);
        REQUIRE(::unlink(log.file().c_str()) == 0);
        if (cut_before) REQUIRE(::unlink(log.file(".1").c_str()) == 0);
        place.write_and_look(log, 30);
        CHECK_FALSE(exists(log.file()));
        CHECK_FALSE(exists(log.file(".1")));
        CHECK_FALSE(exists(log.file(".1.part")));
        if (!cut_before) CHECK_FALSE(exists(log.file(".index")));
        struct stat status {};
        REQUIRE(::fstat(log.fd()->get(), &status) == 0);
        CHECK(status.st_size < static_cast<off_t>(k_limit));
    }
    CHECK(place.said.empty());
}

TEST_CASE("links and folders that are put in a log's place lead nowhere") {
    TempDir dir;
    const std::string victim = dir.file("victim"), text = "not yours\n";
    write_file(victim, text);
    const auto put = [&](const std::string& path, int kind) {
        ::unlink(path.c_str());
        if (kind == 0) REQUIRE(::symlink(victim.c_str(), path.c_str()) == 0);
        if (kind == 1) REQUIRE(::link(victim.c_str(), path.c_str()) == 0);
        if (kind == 2) REQUIRE(::mkdir(path.c_str(), 0700) == 0);
        if (kind == 3) REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    };
    for (const int kind : {0, 1, 2, 3})
        for (const char* suffix : {"", ".index", ".1", ".2", ".1.part"}) {
            CAPTURE(kind);
            CAPTURE(suffix);
            TrimPlace place(dir.file(std::to_string(kind) + suffix));
            NumberedLog log(place.directory, {k_limit, 2});
            place.write_and_look(log, 10);
            put(log.file(suffix), kind);
            place.write_and_look(log, 20);
            place.directory.remove(log.file());
            CHECK(read_file(victim) == text);
        }
}

TEST_CASE("a piece that was taken away or changed is not counted as one") {
    TempDir dir;
    TrimPlace place(dir.file("logs"));
    NumberedLog log(place.directory, {k_limit, 3});
    place.write_and_look(log, 40);
    log.check();
    REQUIRE(::unlink(log.file(".2").c_str()) == 0);
    const std::uint64_t sequence = log.index().sequence;
    while (log.index().sequence == sequence) place.write_and_look(log, 1);
    // The newest, and the one that was the newest; the oldest is before a gap.
    struct stat one {
    }, two{};
    REQUIRE(::stat(log.file(".1").c_str(), &one) == 0);
    REQUIRE(::stat(log.file(".2").c_str(), &two) == 0);
    CHECK(log.index().first + static_cast<std::uint64_t>(one.st_size + two.st_size) == log.index().start);
    place.write_and_look(log, 40);
    log.check();
}

TEST_CASE("where a piece cannot be written the limit holds without it, and that is said once") {
    TempMemory memory("size=1m");
    if (memory.path().empty()) return;
    TrimPlace place(memory.path() + "/logs");
    // Two are over their limits, and a piece of either does not fit any more.
    NumberedLog log(place.directory, {k_limit, 1}), other(place.directory, {k_limit, 1});
    log.write_lines(k_limit * 18 / 10 / NumberedLog::k_line);
    other.write_lines(k_limit * 18 / 10 / NumberedLog::k_line);
    CHECK(place.look(log)->used <= k_limit);
    CHECK(place.said.size() == 1);
    CHECK_FALSE(exists(log.file(".1")));
    CHECK_FALSE(exists(log.file(".1.part")));
    log.check();
    // There is room again.
    place.write_and_look(log, 10, 1000);
    CHECK(log.piece_sizes().size() == 1);
}
