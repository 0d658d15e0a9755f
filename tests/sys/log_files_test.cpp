#include "base/log_files.hpp"

#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

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
