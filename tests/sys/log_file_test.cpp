#include "daemon/sys/log_file.hpp"

#include <fcntl.h>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "base/log_index.hpp"
#include "tests/sys/log_fixture.hpp"
#include "tests/sys/support.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

namespace {

constexpr uid_t k_nobody = 65534;

LogDirectory open_logs(const std::string& path) {
    auto opened = LogDirectory::open(path);
    REQUIRE_MESSAGE(opened, opened.error().message());
    return std::move(*opened);
}

uid_t a_user() {
    return ::geteuid() == 0 ? k_nobody : ::geteuid();
}

// Where that user's logs are.
std::string folder(const LogDirectory& logs) {
    return ::geteuid() == 0 ? logs.path() + "/65534" : logs.path();
}

Result<LogFile> create(const LogDirectory& logs, std::int64_t id, const std::string& name,
                       LogKind kind = LogKind::output) {
    return logs.create(id, name, kind, a_user(), ::geteuid() == 0 ? k_nobody : ::getegid());
}

}  // namespace

TEST_CASE("a log is a new file of the user's, in a folder of theirs") {
    TempDir dir;
    const LogDirectory logs = open_logs(dir.file("state/logs"));
    open_logs(dir.file("state/logs"));
    struct stat status {};
    ::stat(logs.path().c_str(), &status);
    CHECK((status.st_mode & 0777) == (::geteuid() == 0 ? 0711 : 0700));

    const auto first = create(logs, 7, "a/b");
    REQUIRE(first);
    CHECK(first->path == folder(logs) + "/7-a\\x2fb.log");
    ::fstat(first->fd.get(), &status);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(status.st_uid == a_user());
    CHECK((::fcntl(first->fd.get(), F_GETFL) & O_APPEND) != 0);
    CHECK((::fcntl(first->fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
    ::stat(folder(logs).c_str(), &status);
    CHECK((status.st_mode & 0777) == 0700);
    CHECK(status.st_uid == a_user());

    write_file(dir.file("file"), "");
    CHECK(LogDirectory::open(dir.file("file")).error().error == ENOTDIR);
}

TEST_CASE("a log is never another's, and never behind a link") {
    TempDir dir;
    const LogDirectory logs = open_logs(dir.file("logs"));
    REQUIRE(create(logs, 7, "a/b"));
    CHECK(create(logs, 7, "a/b")->path == folder(logs) + "/7-a\\x2fb.1.log");
    REQUIRE(::symlink("/etc/passwd", (folder(logs) + "/8-x.log").c_str()) == 0);
    REQUIRE(::symlink("/nowhere/at/all", (folder(logs) + "/8-x.1.log").c_str()) == 0);
    REQUIRE(::mkdir((folder(logs) + "/8-x.2.log").c_str(), 0700) == 0);
    CHECK(create(logs, 8, "x")->path == folder(logs) + "/8-x.3.log");
    // The index of a log whose file alone was deleted would be taken for the new one's.
    write_file(folder(logs) + "/9-x.log.index", "");
    CHECK(create(logs, 9, "x")->path == folder(logs) + "/9-x.1.log");
    CHECK_FALSE(exists(folder(logs) + "/9-x.log"));
}

TEST_CASE("no name escapes, collides or is too long, with any suffix a log can get") {
    TempDir dir;
    const LogDirectory logs = open_logs(dir.file("logs"));
    const std::vector<std::string> names{"..",
                                         ".",
                                         "/",
                                         "../../x",
                                         "a/../../b",
                                         std::string(255, '.'),
                                         std::string(255, ' '),
                                         "a b",
                                         "log.1",
                                         "x.log",
                                         "x.err",
                                         "x",
                                         "x.log.index",
                                         "x.log.1.part",
                                         "\xf0\x9f\x90\x9f",
                                         std::string(252, 'n') + "abc",
                                         std::string(252, 'n') + "abd"};
    std::set<std::string> paths;
    for (int round = 0; round < 2; ++round)
        for (std::size_t i = 0; i < names.size(); ++i)
            for (const LogKind kind : {LogKind::output, LogKind::errors}) {
                const auto log = create(logs, static_cast<std::int64_t>(i) + 1, names[i], kind);
                REQUIRE(log);
                REQUIRE(log->path.starts_with(folder(logs) + "/"));
                const std::string name = log->path.substr(folder(logs).size() + 1);
                CHECK(name.find('/') == std::string::npos);
                CHECK(name.ends_with(".log"));
                for (const std::string& path :
                     {log->path, log_index_path(log->path), log_piece_path(log->path, 1),
                      log_piece_path(log->path, 100), log_piece_path(log->path, 100) + ".part"}) {
                    CHECK_MESSAGE(paths.insert(path).second, path);
                    CHECK(path.substr(folder(logs).size() + 1).size() <= 255);
                }
            }
    // One name of two processes: the id tells them apart.
    CHECK(create(logs, 1000, "x.err")->path == folder(logs) + "/1000-x.err.log");
    CHECK(create(logs, 1000, "x", LogKind::errors)->path == folder(logs) + "/1000-x.1.err.log");
}

TEST_CASE("a directory that was tidied away comes back") {
    TempDir dir;
    const LogDirectory logs = open_logs(dir.file("logs"));
    REQUIRE(create(logs, 1, "x"));
    REQUIRE(::unlink((folder(logs) + "/1-x.log").c_str()) == 0);
    if (::geteuid() == 0) {
        REQUIRE(::rmdir(folder(logs).c_str()) == 0);
        REQUIRE(create(logs, 2, "x"));
        REQUIRE(::unlink((folder(logs) + "/2-x.log").c_str()) == 0);
        REQUIRE(::rmdir(folder(logs).c_str()) == 0);
    }
    REQUIRE(::rmdir(logs.path().c_str()) == 0);
    const auto again = create(logs, 3, "x");
    REQUIRE_MESSAGE(again, again.error().message());
    CHECK(exists(folder(logs) + "/3-x.log"));
}

TEST_CASE("a folder that is a link is not entered") {
    if (!is_root()) return;
    TempDir dir;
    const LogDirectory logs = open_logs(dir.file("logs"));
    REQUIRE(::mkdir(dir.file("elsewhere").c_str(), 0777) == 0);
    REQUIRE(::symlink(dir.file("elsewhere").c_str(), folder(logs).c_str()) == 0);
    CHECK(create(logs, 1, "x").error().error == ELOOP);
    CHECK_FALSE(exists(dir.file("elsewhere/1-x.log")));
    write_file(dir.file("elsewhere/1-x.log"), "");
    CHECK_FALSE(logs.find(folder(logs) + "/1-x.log"));
    logs.remove(folder(logs) + "/1-x.log");
    CHECK(exists(dir.file("elsewhere/1-x.log")));
}

TEST_CASE("a log goes with its pieces and its index, and nothing else does") {
    TempDir dir;
    const LogDirectory logs = open_logs(dir.file("logs"));
    const std::string path = create(logs, 1, "x")->path;
    const std::string other = create(logs, 1, "x.log.1")->path;
    for (const char* suffix : {".1", ".2", ".7", ".100", ".1.part", ".index"}) write_file(path + suffix, "x");
    write_file(dir.file("kept"), "x");
    REQUIRE(::symlink(dir.file("kept").c_str(), (path + ".3").c_str()) == 0);
    REQUIRE(::mkdir((path + ".4").c_str(), 0700) == 0);
    logs.remove(path);
    for (const char* suffix : {"", ".1", ".2", ".3", ".7", ".100", ".1.part", ".index"})
        CHECK_FALSE_MESSAGE(exists(path + suffix), suffix);
    CHECK(exists(path + ".4"));
    CHECK(exists(other));
    CHECK(exists(dir.file("kept")));
    logs.remove(dir.file("kept"));  // not below the directory
    logs.remove(logs.path() + "/../kept");
    CHECK(exists(dir.file("kept")));
}
