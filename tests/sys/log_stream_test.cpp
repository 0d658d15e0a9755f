#include "daemon/sys/log_stream.hpp"

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

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
    for (const bool taken : {false, true}) {
        const std::size_t chunks = listener.chunks.size();
        auto stream = LogStream::start(plan, listener.handlers());
        REQUIRE(listener.await(chunks + 1, 0));
        if (taken) stream->take_more();
        CHECK(threads() == before + 1);
        stream.reset();
        CHECK(eventually([&] { return threads() == before; }));
    }
    CHECK(listener.ends.empty());
}
