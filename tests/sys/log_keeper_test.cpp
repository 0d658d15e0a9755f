#include "daemon/sys/log_keeper.hpp"

#include <atomic>
#include <fcntl.h>
#include <fstream>
#include <mutex>
#include <poll.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "daemon/sys/log_pump.hpp"
#include "tests/sys/log_fixture.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

namespace {

LogDirectory open_logs(const std::string& path) {
    auto opened = LogDirectory::open(path);
    REQUIRE_MESSAGE(opened, opened.error().message());
    return std::move(*opened);
}

// What a keeper or a pump says.
class Said {
  public:
    LogComplaints::Say say() {
        return [this](std::string text) {
            const std::lock_guard guard(lock_);
            texts_.push_back(std::move(text));
        };
    }
    std::vector<std::string> texts() {
        const std::lock_guard guard(lock_);
        return texts_;
    }

  private:
    std::mutex lock_;
    std::vector<std::string> texts_;
};

LogKeeper::Ticket add(LogKeeper& keeper, const NumberedLog& log, LogLimits limits) {
    return keeper.add(log.fd(), log.file(), ::geteuid(), ::getegid(), limits);
}

std::uint64_t size_of(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

// How often threads of this process went to sleep by themselves.
std::uint64_t sleeps_of_thread(const std::string& name) {
    std::uint64_t count = 0;
    for (pid_t tid = ::getpid(), end = tid + 2000; tid < end; ++tid) {
        const std::string directory = "/proc/self/task/" + std::to_string(tid);
        std::ifstream comm(directory + "/comm");
        std::string text;
        if (!std::getline(comm, text) || text != name) continue;
        std::ifstream status(directory + "/status");
        while (std::getline(status, text))
            if (text.starts_with("voluntary_ctxt_switches:")) count += std::stoull(text.substr(24));
    }
    return count;
}

constexpr LogLimits k_limits{std::uint64_t{1} << 20, 3};

void write_at_full_speed(LogFeatures features, const std::string& path) {
    Said said;
    const LogDirectory logs = open_logs(path);
    NumberedLog log(logs, k_limits);
    {
        LogKeeper keeper(logs, features, said.say());
        const auto ticket = add(keeper, log, k_limits);
        for (int i = 0; i < 60; ++i) {
            log.write_lines(20'000);
            if (i % 10 == 9) CHECK(eventually([&] { return log.index().sequence > 0; }));
        }
        keeper.finish(ticket);
    }  // it has had its last look
    // A piece is at most two limits.
    CHECK(log.check() <= (2 * k_limits.keep + 1) * k_limits.max);
    CHECK(size_of(log.file()) - (log.index().start - log.index().base) < k_limits.max);
    CHECK(said.texts().empty());
}

}  // namespace

TEST_CASE("a log that is written at full speed is held to its limit, whole") {
    TempDir dir;
    write_at_full_speed({}, dir.file("logs"));
}

TEST_CASE("a log is held to its limit by timer alone, where there is no watch to be had") {
    TempDir dir;
    write_at_full_speed({true, true, true, false}, dir.file("logs"));
}

TEST_CASE("a log is held to its limit with every fall-back at once") {
    TempDir dir;
    write_at_full_speed({false, true, false, false}, dir.file("logs"));
}

TEST_CASE("an idle log costs no wake-up; one that was written to is forgotten again soon") {
    TempDir dir;
    Said said;
    const LogDirectory logs = open_logs(dir.file("logs"));
    LogKeeper keeper(logs, {}, said.say());
    NumberedLog idle(logs, k_limits), busy(logs, k_limits);
    add(keeper, idle, k_limits);
    add(keeper, busy, k_limits);
    const auto sleeps = [] { return sleeps_of_thread("log-keeper"); };
    CHECK(eventually([&] { return sleeps() > 0; }));
    const auto stays = [&] {
        const std::uint64_t before = sleeps();
        ::poll(nullptr, 0, 1500);  // the time in which nothing is to happen
        return sleeps() == before;
    };
    CHECK(stays());
    for (int round = 0; round < 2; ++round) {
        const std::uint64_t before = sleeps();
        busy.write_lines(1);
        CHECK(eventually([&] { return sleeps() > before; }));
        CHECK(eventually(stays));
    }
}

TEST_CASE("a finished log is let go, and its descriptor closed") {
    TempDir dir;
    Said said;
    const LogDirectory logs = open_logs(dir.file("logs"));
    LogKeeper keeper(logs, {}, said.say());
    for (const bool written : {false, true}) {
        auto file = logs.create(1, "x", LogKind::output, ::geteuid(), ::getegid());
        REQUIRE(file);
        auto fd = std::make_shared<const UniqueFd>(std::move(file->fd));
        const std::weak_ptr<const UniqueFd> held = fd;
        const auto ticket = keeper.add(fd, file->path, ::geteuid(), ::getegid(), k_limits);
        if (written) REQUIRE(::write(fd->get(), "x\n", 2) == 2);
        fd.reset();
        CHECK_FALSE(held.expired());
        keeper.finish(ticket);
        CHECK(eventually([&] { return held.expired(); }));
        keeper.finish(ticket);
        keeper.finish(0);
    }
}

TEST_CASE("what was written at the last moment is held to the limit") {
    TempDir dir;
    Said said;
    const LogDirectory logs = open_logs(dir.file("logs"));
    for (int i = 0; i < 200; ++i) {
        NumberedLog log(logs, {65536, 1});
        {
            LogKeeper keeper(logs, {}, said.say());
            const auto ticket = add(keeper, log, {65536, 1});
            log.write_lines(4000);
            keeper.finish(ticket);
        }
        REQUIRE(size_of(log.file()) < 65536);
    }
}

TEST_CASE("a log is removed after what was asked for before, also when the keeper ends at once") {
    TempDir dir;
    Said said;
    const LogDirectory logs = open_logs(dir.file("logs"));
    NumberedLog log(logs, k_limits);
    {
        LogKeeper keeper(logs, {}, said.say());
        const auto ticket = add(keeper, log, k_limits);
        log.write_lines(500'000);
        keeper.finish(ticket);
        keeper.remove(log.file());
    }
    for (const char* suffix : {"", ".index", ".1", ".1.part", ".2", ".3"})
        CHECK_FALSE(exists(log.file(suffix)));
    CHECK(said.texts().empty());
}

TEST_CASE("a full disk is said once") {
    TempMemory memory("size=256k");
    if (memory.path().empty()) return;
    Said said;
    const LogDirectory logs = open_logs(memory.path() + "/logs");
    LogKeeper keeper(logs, {}, said.say());
    NumberedLog log(logs, k_limits);
    add(keeper, log, k_limits);
    const std::string block(4096, 'x');
    while (::write(log.fd()->get(), block.data(), block.size()) > 0) {
    }
    CHECK(errno == ENOSPC);
    CHECK(eventually([&] { return !said.texts().empty(); }));
    for (int i = 0; i < 3; ++i) CHECK(::write(log.fd()->get(), block.data(), block.size()) < 0);
    REQUIRE(said.texts().size() == 1);
    CHECK(said.texts()[0].find("no space") != std::string::npos);
}

TEST_CASE("what comes by a pipe is in the log once it is drained") {
    TempDir dir;
    Said said;
    const LogDirectory logs = open_logs(dir.file("logs"));
    LogPump pump(said.say());
    std::vector<std::string> paths;
    std::vector<UniqueFd> ends;
    std::vector<LogPump::Ticket> tickets;
    for (int i = 0; i < 3; ++i) {
        auto file = logs.create(i + 1, "x", LogKind::output, ::geteuid(), ::getegid());
        REQUIRE(file);
        auto pipe = make_log_pipe(::geteuid(), ::getegid());
        REQUIRE(pipe);
        CHECK((::fcntl(pipe->write.get(), F_GETFL) & O_NONBLOCK) == 0);
        paths.push_back(file->path);
        ends.push_back(std::move(pipe->write));
        tickets.push_back(
            pump.add(std::move(pipe->read), std::make_shared<const UniqueFd>(std::move(file->fd))));
    }
    const std::string text(60'000, 'x');
    for (std::size_t round = 1; round <= 5; ++round)
        for (std::size_t i = 0; i < ends.size(); ++i) {
            REQUIRE(::write(ends[i].get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
            std::atomic<bool> drained{false};
            pump.drain(tickets[i], [&] { drained = true; });
            REQUIRE(eventually([&] { return drained.load(); }));
            CHECK(size_of(paths[i]) == round * text.size());
        }
    // One ends by itself, one is given up, one is full of what nobody has waited for.
    ends[0].reset();
    pump.finish(tickets[1]);
    CHECK(eventually([&] {
        pollfd end{ends[1].get(), 0, 0};
        return ::poll(&end, 1, 0) == 1 && (end.revents & POLLERR) != 0;
    }));
    std::atomic<bool> drained{false};
    pump.drain(tickets[0], [&] { drained = true; });
    CHECK(eventually([&] { return drained.load(); }));
    drained = false;
    pump.drain(tickets[1], [&] { drained = true; });
    CHECK(eventually([&] { return drained.load(); }));
    CHECK(said.texts().empty());
}

TEST_CASE("what a full disk does not take of a pipe is dropped, and the writer goes on") {
    TempMemory memory("size=256k");
    if (memory.path().empty()) return;
    Said said;
    const LogDirectory logs = open_logs(memory.path() + "/logs");
    LogPump pump(said.say());
    auto file = logs.create(1, "x", LogKind::output, ::geteuid(), ::getegid());
    auto pipe = make_log_pipe(::geteuid(), ::getegid());
    REQUIRE(file);
    REQUIRE(pipe);
    const auto ticket =
        pump.add(std::move(pipe->read), std::make_shared<const UniqueFd>(std::move(file->fd)));
    const std::string text(64 * 1024, 'x');
    for (int i = 0; i < 50; ++i)
        REQUIRE(::write(pipe->write.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    std::atomic<bool> drained{false};
    pump.drain(ticket, [&] { drained = true; });
    REQUIRE(eventually([&] { return drained.load(); }));
    CHECK(size_of(file->path) > 100'000);
    REQUIRE(said.texts().size() == 1);
    CHECK(said.texts()[0].find("No space left") != std::string::npos);
}
