#include <chrono>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

#include <doctest/doctest.h>

#include "daemon/loop/readiness.hpp"

using namespace procd;
using namespace procd::loop;

namespace {

struct Pipe {
    Pipe() {
        int ends[2];
        REQUIRE(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
        read.reset(ends[0]);
        write.reset(ends[1]);
    }
    void fill() const { REQUIRE(::write(write.get(), "x", 1) == 1); }
    UniqueFd read, write;
};

}  // namespace

TEST_CASE("what was meant for a descriptor that is gone calls nobody who came after it") {
    asio::io_context io;
    Pipe one, other, quiet;
    std::unique_ptr<Readiness> first, second, third;
    int called = 0;
    bool misled = false;
    const auto replace = [&](std::unique_ptr<Readiness>& gone) {
        ++called;
        gone.reset();
        third = std::make_unique<Readiness>(io, std::move(quiet.read));
        third->on_readable([&] { misled = true; });
    };
    first = std::make_unique<Readiness>(io, std::move(one.read));
    second = std::make_unique<Readiness>(io, std::move(other.read));
    first->on_readable([&] { replace(second); });
    second->on_readable([&] { replace(first); });
    // Both are ready at once, and the reactor learns of both before it calls anybody.
    one.fill();
    other.fill();
    io.run_for(std::chrono::milliseconds(50));
    CHECK(called == 1);
    CHECK_FALSE(misled);
    io.restart();
    quiet.fill();
    io.run_for(std::chrono::milliseconds(50));
    CHECK(misled);  // it waits on
}
