#include "base/log_reader.hpp"

#include <algorithm>
#include <string>
#include <unistd.h>

#include <doctest/doctest.h>

#include "tests/sys/log_reading.hpp"
#include "tests/sys/log_trimmer.hpp"
#include "tests/sys/support.hpp"

using namespace procd;
using namespace support;

TEST_CASE("the last lines of a log that was never cut") {
    const TempDir dir;
    const std::string log = dir.file("log");
    append(log, "");
    CHECK(last_lines(log, std::nullopt) == "");
    CHECK(last_lines(log, 5) == "");
    append(log, "one\ntwo\nthree\n");
    CHECK(last_lines(log, std::nullopt) == "one\ntwo\nthree\n");
    CHECK(last_lines(log, 0) == "");
    CHECK(last_lines(log, 1) == "three\n");
    CHECK(last_lines(log, 2) == "two\nthree\n");
    CHECK(last_lines(log, 3) == "one\ntwo\nthree\n");
    CHECK(last_lines(log, ~std::uint64_t{0}) == "one\ntwo\nthree\n");
    append(log, "fo");
    CHECK(last_lines(log, 1) == "fo");
    CHECK(last_lines(log, 2) == "three\nfo");
    append(log, "\n\n");
    CHECK(last_lines(log, 1) == "\n");
    CHECK(last_lines(log, 2) == "fo\n\n");
}

TEST_CASE("the last lines are searched for backwards, over blocks and pieces") {
    for (const auto how : LogTrimmer::k_ways) {
        const LogPlace place(how);
        if (place.path().empty()) continue;
        append(place.log(), numbered(0, 40000));
        LogTrimmer trimmer(place.log(), how, 3);
        REQUIRE(trimmer.trim(100000));
        append(place.log(), numbered(40000, 70001));
        REQUIRE(trimmer.trim(1000));
        append(place.log(), numbered(70001, 80000));
        const std::string all = numbered(0, 80000);
        CHECK(last_lines(place.log(), std::nullopt) == all);
        for (const std::size_t lines : {1, 2, 100, 8191, 8192, 8193, 20000, 79999, 80000, 80001})
            CHECK(last_lines(place.log(), lines) ==
                  all.substr(8 * (80000 - std::min<std::size_t>(lines, 80000))));
    }
}

TEST_CASE("a line without an end comes in parts, in bounded memory") {
    const TempDir dir;
    const std::string log = dir.file("log");
    std::string line;
    while (line.size() < 1000000) line += "a€";  // four bytes, that no part ends in the middle of
    append(log, "short\n" + line);
    LogReader reader = reader_of(log);
    REQUIRE(reader.begin_at_last(std::nullopt, true));
    const All first = read_all_of(reader, false);
    CHECK(first.largest <= LogReader::k_most_bytes);
    CHECK(first.text == ("short\n" + line).substr(0, first.text.size()));
    CHECK((first.text.size() - 6) % 4 <= 1);
    append(log, std::string(3, '\0'));
    CHECK(first.text + read_all_of(reader, true).text == "short\n" + line + std::string(3, '\0'));
    CHECK(last_lines(log, 1) == line + std::string(3, '\0'));
}

TEST_CASE("who follows gets a line once it is whole, and the last one when nobody writes any more") {
    const TempDir dir;
    const std::string log = dir.file("log");
    append(log, "one\ntw");
    LogReader reader = reader_of(log);
    REQUIRE(reader.begin_at_last(0, true));
    CHECK(read_all_of(reader, false).text == "");
    append(log, "o\nthr");
    CHECK(read_all_of(reader, false).text == "two\n");
    CHECK(read_all_of(reader, false).text == "");
    CHECK(read_all_of(reader, true).text == "thr");
}

TEST_CASE("who does not follow ends where the log ended then") {
    const TempDir dir;
    const std::string log = dir.file("log");
    append(log, numbered(0, 20000));
    LogReader reader = reader_of(log);
    REQUIRE(reader.begin_at_last(std::nullopt, false));
    std::string text;
    for (std::size_t more = 20000;; ++more) {
        append(log, numbered(more, more + 1));
        const auto lines = reader.next(true);
        REQUIRE(lines);
        if (lines->text.empty()) break;
        text += lines->text;
    }
    CHECK(text == numbered(0, 20000));
}

TEST_CASE("a log that its writer truncates goes on from its new beginning") {
    const TempDir dir;
    const std::string log = dir.file("log");
    append(log, numbered(0, 100));
    LogReader reader = reader_of(log);
    REQUIRE(reader.begin_at_last(std::nullopt, true));
    CHECK(read_all_of(reader, false).text == numbered(0, 100));
    REQUIRE(::truncate(log.c_str(), 0) == 0);
    append(log, numbered(100, 110));
    const All rest = read_all_of(reader, false);
    CHECK(rest.truncated);
    CHECK(rest.text == numbered(100, 110));
}
