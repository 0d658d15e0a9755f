// A log that its writer truncates while procd cuts it and somebody follows it.

#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "tests/sys/log_fixture.hpp"
#include "tests/sys/log_reading.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

namespace {

constexpr std::uint64_t k_limit = TrimPlace::k_limit;
constexpr std::uint64_t k_limit_lines = k_limit / NumberedLog::k_line;
constexpr auto k_torrent = std::chrono::milliseconds(10);

// How a head is cut off, and with how many pieces.
struct Kind {
    bool collapse;
    unsigned keep;
};
constexpr auto k_kinds = {Kind{true, 0}, Kind{true, 1}, Kind{true, 3}, Kind{false, 0}, Kind{false, 1}};

// A log that was cut, and who follows it.
struct Followed {
    explicit Followed(Kind kind, int looks = 10)
        : place(dir.file("logs"), {kind.collapse, true, true, true}),
          log(place.directory, {k_limit, kind.keep}) {
        place.write_and_look(log, looks);
        CHECK((log.index().sequence > 0) == (looks > 4));
    }

    LogReader follow() {
        LogReader reader = reader_of(log.file());
        REQUIRE(reader.begin_at_last(std::nullopt, true));
        return reader;
    }
    void truncate() {
        REQUIRE(::ftruncate(log.fd()->get(), 0) == 0);
        truncated_at = log.written();
    }
    std::string lines_from(std::uint64_t number) const { return NumberedLog::lines(number, log.written()); }
    // All since it was truncated, which is told.
    void check_new_beginning(LogReader& reader) const {
        const All all = read_all_of(reader, false);
        CHECK(all.truncated);
        CHECK(all.dropped == 0);
        CHECK(all.text == lines_from(truncated_at));
    }
    // What was written since that line, and nothing happened.
    void check_goes_on(LogReader& reader, std::uint64_t number) const {
        const All all = read_all_of(reader, false);
        CHECK(!all.truncated);
        CHECK(all.dropped == 0);
        CHECK(all.text == lines_from(number));
    }
    // Through more cuts, of which none overtakes the reader.
    void check_goes_on_for_long(LogReader& reader) {
        for (int i = 0; i < 20; ++i) {
            const std::uint64_t next = log.written();
            log.write_lines(TrimPlace::k_step);
            check_goes_on(reader, next);
            REQUIRE(place.look(log));
        }
        log.check();
    }

    TempDir dir;
    TrimPlace place;
    NumberedLog log;
    std::uint64_t truncated_at = 0;  // the first line that is in it again
};

}  // namespace

TEST_CASE("who has read of a truncated log goes on in it when its bytes get other numbers") {
    for (const Kind kind : k_kinds) {
        for (const bool whole_blocks : {false, true}) {  // as it would be after a cut
            CAPTURE(kind.collapse);
            CAPTURE(kind.keep);
            CAPTURE(whole_blocks);
            Followed it(kind);
            it.log.write_lines(512 - it.log.written() % 512 + (whole_blocks ? 0 : 1));
            REQUIRE(it.place.look(it.log));
            LogReader reader = it.follow();
            read_all_of(reader, false);
            it.truncate();
            it.log.write_lines(5);
            it.check_new_beginning(reader);
            REQUIRE(it.place.look(it.log));
            it.log.write_lines(5);
            it.check_goes_on(reader, it.truncated_at + 5);
            it.check_goes_on_for_long(reader);
        }
    }
}

TEST_CASE("who was told of a truncated log before there was anything in it gets all that comes") {
    for (const Kind kind : k_kinds) {
        CAPTURE(kind.collapse);
        CAPTURE(kind.keep);
        Followed it(kind);
        LogReader reader = it.follow();
        read_all_of(reader, false);
        it.truncate();
        CHECK(read_all_of(reader, false).truncated);
        it.log.write_lines(5);
        REQUIRE(it.place.look(it.log));
        it.check_goes_on(reader, it.truncated_at);
        it.check_goes_on_for_long(reader);
    }
}

TEST_CASE("who has not heard yet that a log was truncated gets all of it from its new beginning on") {
    for (const Kind kind : k_kinds) {
        CAPTURE(kind.collapse);
        CAPTURE(kind.keep);
        enum class Reader { at_the_end, behind, ahead };  // of what procd has seen
        for (const auto where : {Reader::at_the_end, Reader::behind, Reader::ahead}) {
            CAPTURE(static_cast<int>(where));
            Followed it(kind);
            LogReader reader = it.follow();
            read_all_of(reader, false);
            it.log.write_lines(100);
            if (where != Reader::ahead) REQUIRE(it.place.look(it.log));
            if (where != Reader::behind) read_all_of(reader, false);
            it.truncate();
            it.log.write_lines(10);
            REQUIRE(it.place.look(it.log));
            it.log.write_lines(k_limit_lines / 2);
            it.check_new_beginning(reader);
            REQUIRE(it.place.look(it.log));
        }
    }
}

TEST_CASE("a log that is truncated and cut at the same look") {
    for (const bool told : {false, true}) {
        CAPTURE(told);
        Followed it({true, 1});
        LogReader reader = it.follow();
        read_all_of(reader, false);
        it.log.write_lines(k_limit_lines * 3 / 2);
        REQUIRE(it.place.look(it.log, k_torrent)->used > k_limit);
        if (told) read_all_of(reader, false);
        it.truncate();
        it.log.write_lines(k_limit_lines * 11 / 10);
        if (told) it.check_new_beginning(reader);
        const std::uint64_t next = it.log.written();
        REQUIRE(it.place.look(it.log)->used < k_limit);
        it.log.write_lines(5);
        if (told)
            it.check_goes_on(reader, next);
        else
            it.check_new_beginning(reader);
        it.check_goes_on_for_long(reader);
    }
}

TEST_CASE("a log that is truncated again and again") {
    for (const Kind kind : k_kinds) {
        CAPTURE(kind.collapse);
        CAPTURE(kind.keep);
        Followed it(kind);
        LogReader reader = it.follow(), late = it.follow();
        read_all_of(reader, false);
        for (int i = 0; i < 3; ++i) {
            it.truncate();
            it.log.write_lines(5);
            it.check_new_beginning(reader);
            REQUIRE(it.place.look(it.log));
            it.truncate();
            it.log.write_lines(3);
            REQUIRE(it.place.look(it.log));
            it.log.write_lines(10);
            it.check_new_beginning(reader);
            REQUIRE(it.place.look(it.log));
        }
        it.check_new_beginning(late);
        it.check_goes_on_for_long(reader);
    }
}

TEST_CASE("who begins with a truncated log begins with its first line, which is whole") {
    for (const Kind kind : k_kinds) {
        CAPTURE(kind.collapse);
        CAPTURE(kind.keep);
        Followed it(kind);
        it.truncate();
        it.log.write_lines(10);
        for (const bool looked_at : {false, true}) {
            CAPTURE(looked_at);
            if (!looked_at && kind.collapse) continue;  // it may as well have grown like this
            if (looked_at) REQUIRE(it.place.look(it.log));
            for (const std::optional<std::uint64_t> lines : {std::optional<std::uint64_t>(), {10}, {1000}})
                CHECK(last_lines(it.log.file(), lines) == it.lines_from(it.truncated_at));
            CHECK(last_lines(it.log.file(), 3) == it.lines_from(it.log.written() - 3));
        }
    }
}

TEST_CASE("a log that was never cut is truncated") {
    for (const bool told : {false, true}) {
        CAPTURE(told);
        Followed it({true, 1}, 2);
        LogReader reader = it.follow();
        read_all_of(reader, false);
        it.truncate();
        it.log.write_lines(10);
        if (told) it.check_new_beginning(reader);
        REQUIRE(it.place.look(it.log));
        it.log.write_lines(2 * TrimPlace::k_step);
        if (told)
            it.check_goes_on(reader, it.truncated_at + 10);
        else
            it.check_new_beginning(reader);
        it.check_goes_on_for_long(reader);
    }
}

// A child at full speed that truncates its log, cuts at full speed, and somebody who follows. What was
// written and truncated before anybody looked is missing, and nobody can tell; but nothing else is, and
// nothing comes twice.
TEST_CASE("who follows a log that is truncated in the middle of cuts gets each line at most once") {
    for (const unsigned keep : {0U, 2U}) {
        CAPTURE(keep);
        constexpr std::uint64_t k_together = 20;
        constexpr int k_truncations = 30;
        Followed it({true, keep}, 0);
        LogReader reader = it.follow();
        std::atomic<bool> written{false};
        std::atomic<std::uint64_t> looks{0};
        std::mutex lock;
        std::set<std::uint64_t> begun_anew;  // the first lines behind truncations
        const auto begins_anew = [&](std::uint64_t number) {
            const std::lock_guard guard(lock);
            return begun_anew.contains(number);
        };
        std::jthread keeper([&] {
            while (!written) {
                CHECK(it.place.look(it.log));
                ++looks;
            }
        });
        std::jthread writer([&] {
            // procd gets the time to see it: of a log that is as long as before by then nobody can tell.
            const auto await_look = [&] {
                for (const std::uint64_t seen = looks; looks < seen + 2;) std::this_thread::yield();
            };
            for (int i = 0; i < k_truncations; ++i) {
                for (std::uint64_t lines = 0; lines < k_limit_lines * 3; lines += k_together)
                    it.log.write_lines(k_together);
                await_look();
                const std::uint64_t end = it.log.written() + k_limit_lines;
                while (it.log.written() < end) it.log.write_lines(k_together);  // a cut is under way
                {
                    const std::lock_guard guard(lock);
                    begun_anew.insert(it.log.written());
                }
                it.truncate();
                it.log.write_lines(1);
                await_look();
            }
            written = true;
        });
        std::uint64_t expected = 0;
        int truncations = 0;
        bool told = false;  // that something is missing before the next line
        for (bool last = false;; last = written) {
            const bool complete = last;
            const auto lines = reader.next(complete);
            REQUIRE(lines);
            if (lines->truncated) ++truncations;
            told = told || lines->truncated || lines->dropped > 0;
            if (lines->text.empty() && complete) break;
            if (lines->text.empty()) continue;
            REQUIRE(lines->text.size() % NumberedLog::k_line == 0);
            for (std::string_view rest = lines->text; !rest.empty();
                 rest.remove_prefix(NumberedLog::k_line)) {
                const std::uint64_t number = std::stoull(std::string(rest.substr(0, NumberedLog::k_line)));
                REQUIRE((number == expected || (number > expected && (told || begins_anew(number)))));
                told = false;
                expected = number + 1;
                REQUIRE(rest.substr(0, NumberedLog::k_line) == NumberedLog::lines(number, expected));
            }
        }
        writer.join();
        keeper.join();
        CHECK(expected == it.log.written());
        CHECK(truncations > 0);
        CHECK(truncations <= k_truncations);
        CHECK(it.place.said.empty());
    }
}
