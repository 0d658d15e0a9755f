#include <atomic>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "base/file_watch.hpp"
#include "tests/sys/log_reading.hpp"
#include "tests/sys/log_trimmer.hpp"
#include "tests/sys/support.hpp"

using namespace procd;
using namespace support;

namespace {

int error_of(const std::string& path, std::optional<uid_t> owner = std::nullopt) {
    const auto files = LogFiles::open(path, owner);
    return files ? 0 : files.error().error;
}

constexpr auto k_ways = {LogTrimmer::How::collapse, LogTrimmer::How::punch};

}  // namespace

TEST_CASE("a log is opened only where it is a regular file of the right user, and no link to one") {
    const TempDir dir;
    append(dir.file("log"), "one\n");
    CHECK(error_of(dir.file("log")) == 0);
    CHECK(error_of(dir.file("log"), ::geteuid()) == 0);
    CHECK(error_of(dir.file("log"), ::geteuid() + 1) == EPERM);
    CHECK(error_of(dir.file("none")) == ENOENT);
    CHECK(error_of(dir.file("none/log")) == ENOENT);
    REQUIRE(::symlink("log", dir.file("link").c_str()) == 0);
    CHECK(error_of(dir.file("link")) == ELOOP);
    REQUIRE(::mkfifo(dir.file("fifo").c_str(), 0600) == 0);
    CHECK(error_of(dir.file("fifo")) == EINVAL);
    CHECK(error_of(dir.path()) == EINVAL);
    const auto missing = LogFiles::open(dir.file("none"));
    CHECK(missing.error().message() == "open " + dir.file("none") + ": No such file or directory");
    if (is_root()) return;  // whom no mode keeps out
    ::chmod(dir.file("log").c_str(), 0);
    CHECK(error_of(dir.file("log")) == EACCES);
}

TEST_CASE("a link in place of the index or of a piece is not followed") {
    const TempDir dir;
    append(dir.file("log"), "one\n");
    append(dir.file("secret"), to_text(LogIndex{2, 0, 0, 0}));
    REQUIRE(::symlink("secret", dir.file("log.index").c_str()) == 0);
    auto files = LogFiles::open(dir.file("log"));
    REQUIRE(files);
    CHECK(files->extent().error().error == ELOOP);
    ::unlink(dir.file("log.index").c_str());
    append(dir.file("log.index"), to_text(LogIndex{2, 18, 18, 0}));
    append(dir.file("eighteen"), "a line of another\n");
    REQUIRE(::symlink("eighteen", dir.file("log.1").c_str()) == 0);
    CHECK(last_lines(dir.file("log"), std::nullopt) == "");  // "one" may be the rest of a line
    append(dir.file("log"), "two\n");
    CHECK(last_lines(dir.file("log"), std::nullopt) == "two\n");
}

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
    for (const auto how : k_ways) {
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

TEST_CASE("what was dropped leaves a torn line, which is left out; a hole is no zeros") {
    for (const auto how : k_ways) {
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
    for (const auto how : k_ways) {
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

TEST_CASE("a cut that nobody finishes is waited for a moment, once, and told") {
    for (const auto how : k_ways) {
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
    for (const auto how : k_ways) {
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

TEST_CASE("an index that is garbage is no index") {
    const TempDir dir;
    append(dir.file("log"), "one\n");
    append(dir.file("log.index"), "garbage");
    LogReader reader = reader_of(dir.file("log"));
    REQUIRE(reader.begin_at_last(std::nullopt, false));
    CHECK(read_all_of(reader).text == "one\n");
    CHECK(reader.files().interrupted());
}

TEST_CASE("pieces that somebody removed are gone, and nothing else is taken for them") {
    const LogPlace place(LogTrimmer::How::punch);
    if (place.path().empty()) return;
    append(place.log(), numbered(0, 3000));
    LogTrimmer trimmer(place.log(), LogTrimmer::How::punch, 2);
    REQUIRE(trimmer.trim());
    append(place.log(), "x\n" + numbered(3000, 6000));
    REQUIRE(trimmer.trim());
    append(place.log(), numbered(6000, 6010));
    ::unlink(log_piece_path(place.log(), 1).c_str());
    const std::string text = last_lines(place.log(), std::nullopt);
    const std::string all = numbered(0, 6010);
    CHECK(text.size() >= 80);
    CHECK(text == all.substr(all.size() - text.size()));
}

TEST_CASE("a log that is removed or replaced is read on, and known to be out of place") {
    const TempDir dir;
    const std::string log = dir.file("log");
    append(log, "one\n");
    LogReader reader = reader_of(log);
    REQUIRE(reader.begin_at_last(std::nullopt, true));
    CHECK(reader.files().in_place());
    ::rename(log.c_str(), dir.file("old").c_str());
    append(log, "other\n");
    append(dir.file("old"), "two\n");
    CHECK(!reader.files().in_place());
    CHECK(read_all_of(reader, false).text == "one\ntwo\n");
}

TEST_CASE("who is behind reads on where he was when the log and its index are removed") {
    for (const bool made_anew : {false, true}) {
        const LogPlace place(LogTrimmer::How::collapse);
        if (place.path().empty()) return;
        append(place.log(), numbered(0, 3000));
        LogTrimmer trimmer(place.log(), LogTrimmer::How::collapse, 0);
        REQUIRE(trimmer.trim());
        append(place.log(), numbered(3000, 40000));
        LogReader reader = reader_of(place.log());
        REQUIRE(reader.begin_at_last(30000, true));
        auto lines = reader.next(false);
        REQUIRE(lines);
        std::string text(lines->text);
        ::unlink(log_index_path(place.log()).c_str());
        ::unlink(place.log().c_str());
        if (made_anew) append(log_index_path(place.log()), "");  // and not written yet
        const All rest = read_all_of(reader, true);
        CHECK(rest.dropped == 0);
        CHECK(!rest.truncated);
        CHECK(text + rest.text == numbered(10000, 40000));
    }
}

TEST_CASE("a watch tells what is written, and that a log is removed") {
    const TempDir dir;
    const std::string log = dir.file("log");
    append(log, "one\n");
    const auto files = LogFiles::open(log);
    REQUIRE(files);
    const UniqueFd watch = watch_file(files->fd());
    REQUIRE(watch);
    char byte;
    CHECK(::read(watch.get(), &byte, 1) == -1);
    CHECK(errno == EAGAIN);
    append(log, "two\n");
    rearm_watch(watch.get());
    CHECK(::read(watch.get(), &byte, 1) == -1);
    CHECK(errno == EAGAIN);
    ::unlink(log.c_str());
    CHECK(::read(watch.get(), &byte, 1) == -1);
    CHECK(errno == EINVAL);  // there is something: one byte is no room for it
}

// A child at full speed, cuts at full speed, and somebody who follows.
static void race(LogTrimmer::How how, std::size_t keep) {
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

TEST_CASE("a follower beside cuts at full speed gets each line once, in order, or is told that it is gone") {
    for (const auto how : k_ways)
        for (std::size_t keep = 0; keep <= 3; ++keep) race(how, keep);
}
