#include "daemon/sys/log_stream.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "base/log_index.hpp"
#include "base/unique_fd.hpp"
#include "tests/sys/support.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

namespace {

// What a stream says, kept.
struct Listener {
    std::mutex lock;
    std::condition_variable news;
    std::vector<std::string> chunks;
    std::vector<LogStream::End> ends;

    LogStream::Handlers handlers() {
        LogStream::Handlers handlers;
        handlers.on_chunk = [this](LogStream::Chunk chunk) {
            const std::lock_guard guard(lock);
            chunks.push_back(std::move(chunk.bytes));
            news.notify_all();
        };
        handlers.on_end = [this](LogStream::End end) {
            const std::lock_guard guard(lock);
            ends.push_back(std::move(end));
            news.notify_all();
        };
        return handlers;
    }
    bool await(std::size_t chunks_wanted, std::size_t ends_wanted) {
        std::unique_lock guard(lock);
        return news.wait_for(guard, std::chrono::seconds(20),
                             [&] { return chunks.size() >= chunks_wanted && ends.size() >= ends_wanted; });
    }
};

std::size_t threads() {
    using Directory = std::filesystem::directory_iterator;
    return static_cast<std::size_t>(std::distance(Directory("/proc/self/task"), Directory()));
}

LogStream::Plan plan_of(const std::string& path) {
    LogStream::Plan plan;
    plan.path = path;
    return plan;
}

}  // namespace

TEST_CASE("a stream gives one chunk at a time, and the next when that was taken") {
    const TempDir dir;
    write_file(dir.file("log"), std::string(100000, 'x') + "\n");
    Listener listener;
    const auto stream = LogStream::start(plan_of(dir.file("log")), listener.handlers());
    REQUIRE(stream);
    REQUIRE(listener.await(1, 0));
    ::usleep(50000);  // for what must not come
    CHECK(listener.chunks.size() == 1);
    CHECK(listener.ends.empty());
    stream->take_more();
    REQUIRE(listener.await(2, 0));
    stream->take_more();
    REQUIRE(listener.await(2, 1));
    CHECK(listener.chunks[0].size() + listener.chunks[1].size() == 100001);
    CHECK(!listener.ends[0].error);
}

TEST_CASE("a stream follows until it is complete, and then gives the rest") {
    const TempDir dir;
    write_file(dir.file("log"), "one\ntw");
    Listener listener;
    LogStream::Plan plan = plan_of(dir.file("log"));
    plan.follow = true;
    plan.owner = ::geteuid();
    const auto stream = LogStream::start(plan, listener.handlers());
    REQUIRE(listener.await(1, 0));
    stream->take_more();
    std::ofstream(dir.file("log"), std::ios::app) << "o\nthr";
    REQUIRE(listener.await(2, 0));
    CHECK(listener.chunks[1] == "two\n");
    stream->take_more();
    stream->complete();
    REQUIRE(listener.await(3, 0));
    CHECK(listener.chunks[2] == "thr");
    stream->take_more();
    REQUIRE(listener.await(3, 1));
    CHECK(!listener.ends[0].removed);
}

TEST_CASE("a stream whose log is removed or another user's says so") {
    const TempDir dir;
    write_file(dir.file("log"), "one\n");
    Listener listener, refused, missing;
    LogStream::Plan plan = plan_of(dir.file("log"));
    plan.follow = true;
    const auto stream = LogStream::start(plan, listener.handlers());
    REQUIRE(listener.await(1, 0));
    stream->take_more();
    ::unlink(plan.path.c_str());
    REQUIRE(listener.await(1, 1));
    CHECK(listener.ends[0].removed);
    const auto second = LogStream::start(plan, missing.handlers());
    REQUIRE(missing.await(0, 1));
    CHECK(missing.ends[0].error->error == ENOENT);
    write_file(dir.file("log"), "one\n");
    plan.owner = ::geteuid() + 1;
    const auto third = LogStream::start(plan, refused.handlers());
    REQUIRE(refused.await(0, 1));
    CHECK(refused.ends[0].error->error == EPERM);
    CHECK(refused.chunks.empty());
}

TEST_CASE("a stream that nobody wants any more leaves no thread, whatever it waits for") {
    const TempDir dir;
    write_file(dir.file("log"), "one\n");
    const std::size_t before = threads();
    Listener listener;
    LogStream::Plan plan = plan_of(dir.file("log"));
    plan.follow = true;
    const auto kept = std::make_shared<int>();
    for (const bool taken : {false, true}) {
        const std::size_t chunks = listener.chunks.size();
        auto stream = LogStream::start(plan, listener.handlers(), kept);
        REQUIRE(listener.await(chunks + 1, 0));
        CHECK(kept.use_count() == 2);
        if (taken) stream->take_more();
        CHECK(threads() == before + 1);
        stream.reset();
        CHECK(eventually([&] { return threads() == before; }));
        CHECK(eventually([&] { return kept.use_count() == 1; }));
    }
    CHECK(listener.ends.empty());
}

TEST_CASE("a stream that nobody wants any more neither waits for an index nor searches on") {
    const TempDir dir;
    const std::size_t before = threads();
    LogStream::Plan plan = plan_of(dir.file("log"));
    plan.lines = 1;
    UniqueFd held;
    SUBCASE("an index that never comes to rest") {
        write_file(plan.path, "one\n");
        write_file(dir.file("log.index"), to_text(LogIndex{3, 0, 0, 0}));
        held.reset(::open(dir.file("log.index").c_str(), O_RDWR | O_CLOEXEC));
        REQUIRE(hold_log_index(held.get()));
    }
    SUBCASE("a file without a line that takes hours to read") {
        write_file(plan.path, "");
        REQUIRE(::truncate(plan.path.c_str(), off_t{8} << 40) == 0);
    }
    Listener listener;
    auto stream = LogStream::start(plan, listener.handlers());
    REQUIRE(stream);
    ::usleep(20000);  // so that it is at it
    CHECK(threads() == before + 1);
    const auto begin = std::chrono::steady_clock::now();
    stream.reset();
    CHECK(eventually([&] { return threads() == before; }));
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
    CHECK(listener.chunks.empty());
    CHECK(listener.ends.empty());
}

TEST_CASE("the end of a stream is told once there is memory to tell it with") {
    const TempDir dir;
    const std::size_t before = threads();
    Listener listener;
    LogStream::Handlers handlers = listener.handlers();
    std::atomic<int> tries{0};
    handlers.on_end = [&tries, on_end = handlers.on_end](const LogStream::End& end) {
        if (++tries < 3) throw std::bad_alloc();
        on_end(end);
    };
    auto stream = LogStream::start(plan_of(dir.file("none")), handlers);
    REQUIRE(listener.await(0, 1));
    CHECK(tries == 3);
    CHECK(listener.ends[0].error->error == ENOENT);
    stream.reset();
    handlers.on_end = [&tries](const LogStream::End&) {
        ++tries;
        throw std::bad_alloc();
    };
    stream = LogStream::start(plan_of(dir.file("none")), handlers);
    CHECK(eventually([&] { return tries >= 5; }));
    stream.reset();  // which ends the tries
    CHECK(eventually([&] { return threads() == before; }));
}

TEST_CASE("a stream that finds no memory for a chunk ends with that") {
    const TempDir dir;
    write_file(dir.file("log"), "one\n");
    Listener listener;
    LogStream::Handlers handlers = listener.handlers();
    handlers.on_chunk = [](LogStream::Chunk) { throw std::bad_alloc(); };
    const auto stream = LogStream::start(plan_of(dir.file("log")), handlers);
    REQUIRE(listener.await(0, 1));
    REQUIRE(listener.ends[0].error);
    CHECK(listener.ends[0].error->error == ENOMEM);
}
