// Who reads a log while it is cut.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <string>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "tests/sys/log_reading.hpp"
#include "tests/sys/log_trimmer.hpp"
#include "tests/sys/support.hpp"

using namespace procd;
using namespace support;

namespace {

// A child at full speed, cuts at full speed, and somebody who follows.
void race(LogTrimmer::How how, std::size_t keep) {
    const LogPlace place(how);
    if (place.path().empty()) return;
    constexpr std::size_t k_least_lines = 100000, k_most_lines = 9000000, k_least_cuts = 20;
    append(place.log(), "");
    LogTrimmer trimmer(place.log(), how, keep);
    LogReader reader = reader_of(place.log());
    REQUIRE(reader.begin_at_last(std::nullopt, true));
    std::atomic<bool> written{false};
    std::atomic<std::size_t> cuts{0}, total{0};
    std::jthread writer([&] {
        const UniqueFd fd(::open(place.log().c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
        std::size_t i = 0;
        for (; i < k_most_lines && (i < k_least_lines || cuts < k_least_cuts); i += 10) {
            const std::string text = numbered(i, i + 10);
            CHECK(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
        }
        total = i;
        written = true;
    });
    std::jthread cutter([&] {
        while (!written) cuts += trimmer.trim(std::uint64_t{64} << 10) ? 1 : 0;
    });
    std::uint64_t expected = 0;
    for (bool last = false;; last = written) {
        const bool complete = last;
        const auto lines = reader.next(complete);
        REQUIRE(lines);
        REQUIRE(!lines->truncated);
        REQUIRE(lines->dropped % 8 == 0);
        expected += lines->dropped / 8;
        if (!lines->text.empty()) {
            REQUIRE(lines->text.size() % 8 == 0);
            const std::size_t count = lines->text.size() / 8;
            REQUIRE(lines->text == numbered(expected, expected + count));
            expected += count;
        } else if (complete) {
            break;
        }
    }
    writer.join();
    cutter.join();
    CHECK(expected == total);
    CHECK(cuts >= k_least_cuts);
    CHECK(!reader.files().interrupted());
}

}  // namespace

TEST_CASE("what was dropped leaves a torn line, which is left out; a hole is no zeros") {
    for (const auto how : LogTrimmer::k_ways) {
        for (std::size_t keep = 0; keep <= 3; ++keep) {
            CAPTURE(keep);
            const LogPlace place(how);
            if (place.path().empty()) continue;
            append(place.log(), "torn\n");  // so that no block ends where a line does
            LogTrimmer trimmer(place.log(), how, keep);
            for (std::size_t cut = 0; cut < 5; ++cut) {
                append(place.log(), numbered(1000 * cut, 1000 * (cut + 1)));
                REQUIRE(trimmer.trim());
            }
            append(place.log(), numbered(5000, 5010));
            const std::string text = last_lines(place.log(), std::nullopt);
            const std::string all = numbered(0, 5010);
            CHECK(text.find('\0') == std::string::npos);
            CHECK(text.size() % 8 == 0);
            REQUIRE(text.size() >= 80 + keep * 7000);
            CHECK(text == all.substr(all.size() - text.size()));
            CHECK(last_lines(place.log(), 100000) == text);
            CHECK(last_lines(place.log(), 3) == all.substr(all.size() - 24));
        }
    }
}

TEST_CASE("who is overtaken by cuts is told how much is gone, and goes on at a whole line") {
    for (const auto how : LogTrimmer::k_ways) {
        const LogPlace place(how);
        if (place.path().empty()) continue;
        append(place.log(), "begin\n" + numbered(0, 10));
        LogTrimmer trimmer(place.log(), how, 1);
        LogReader reader = reader_of(place.log());
        REQUIRE(reader.begin_at_last(std::nullopt, true));
        CHECK(read_all_of(reader, false).text == "begin\n" + numbered(0, 10));
        for (std::size_t cut = 0; cut < 3; ++cut) {
            append(place.log(), numbered(10 + 1000 * cut, 1010 + 1000 * cut));
            REQUIRE(trimmer.trim());
        }
        const All rest = read_all_of(reader, false);
        CHECK(rest.dropped > 4000);
        CHECK(rest.dropped % 8 == 0);
        CHECK(rest.text == numbered(10 + rest.dropped / 8, 3010));
        CHECK(read_all_of(reader, false).text == "");
    }
}

TEST_CASE("a cut that nobody finishes is waited for a moment, once, and told") {
    for (const auto how : LogTrimmer::k_ways) {
        const LogPlace place(how);
        if (place.path().empty()) continue;
        append(place.log(), numbered(0, 3000));
        LogTrimmer trimmer(place.log(), how, 1);
        REQUIRE(trimmer.trim());
        append(place.log(), numbered(3000, 6000));
        trimmer.trim_and_die();
        LogReader reader = reader_of(place.log());
        const auto begin = std::chrono::steady_clock::now();
        REQUIRE(reader.begin_at_last(1, true));
        CHECK(read_all_of(reader, false).text == numbered(5999, 6000));
        for (int i = 0; i < 20; ++i) REQUIRE(reader.next(false));
        CHECK(reader.files().interrupted());
        const auto took = std::chrono::steady_clock::now() - begin;
        CHECK(took >= std::chrono::milliseconds(900));
        CHECK(took < std::chrono::seconds(10));  // and not a second each time
    }
}

TEST_CASE("a cut that takes long is waited for, as long as somebody is at it") {
    for (const auto how : LogTrimmer::k_ways) {
        const LogPlace place(how);
        if (place.path().empty()) continue;
        append(place.log(), numbered(0, 3000));
        LogTrimmer trimmer(place.log(), how, 1);
        REQUIRE(trimmer.trim());
        append(place.log(), numbered(3000, 6000));
        std::jthread cut([&] { trimmer.trim_slowly(std::chrono::milliseconds(1300)); });
        const UniqueFd index(::open(log_index_path(place.log()).c_str(), O_RDONLY | O_CLOEXEC));
        CHECK(eventually([&] {
            const auto now = read_log_index(index.get());
            return now && *now && !(*now)->at_rest();
        }));
        CHECK(last_lines(place.log(), 3000) == numbered(3000, 6000));
        LogReader reader = reader_of(place.log());
        REQUIRE(reader.begin_at_last(1, true));
        CHECK(!reader.files().interrupted());
    }
}

TEST_CASE("a follower beside cuts at full speed gets each line once, in order, or is told that it is gone") {
    for (const auto how : LogTrimmer::k_ways)
        for (std::size_t keep = 0; keep <= 3; ++keep) race(how, keep);
}

TEST_CASE("a cut of a log that was truncated is a cut") {
    for (const bool cut_before : {false, true}) {
        const LogPlace place(LogTrimmer::How::collapse);
        if (place.path().empty()) return;
        append(place.log(), numbered(0, 3000));
        LogTrimmer trimmer(place.log(), LogTrimmer::How::collapse, 0);
        if (cut_before) REQUIRE(trimmer.trim());
        LogReader reader = reader_of(place.log());
        REQUIRE(reader.begin_at_last(std::nullopt, true));
        read_all_of(reader, false);
        REQUIRE(::truncate(place.log().c_str(), 0) == 0);
        CHECK(read_all_of(reader, false).truncated);
        append(place.log(), numbered(3000, 6000));
        CHECK(read_all_of(reader, false).text == numbered(3000, 6000));
        REQUIRE(trimmer.trim());
        append(place.log(), numbered(6000, 6010));
        const All rest = read_all_of(reader, false);
        CHECK(rest.dropped == 0);
        CHECK(!rest.truncated);
        CHECK(rest.text == numbered(6000, 6010));
    }
}
