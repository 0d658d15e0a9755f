#include <doctest/doctest.h>

#include "daemon/core/timers.hpp"

using namespace procd::core;
using namespace std::chrono_literals;

namespace {

constexpr Mono k_start(10s);
const Timers::Key k_one{Timers::Kind::life, 1};
const Timers::Key k_two{Timers::Kind::life, 2};
const Timers::Key k_wait{Timers::Kind::wait, 1};

}  // namespace

TEST_CASE("the next deadline is the earliest") {
    Timers timers;
    CHECK_FALSE(timers.next());
    timers.set(k_one, k_start + 5s);
    timers.set(k_two, k_start + 3s);
    timers.set(k_wait, k_start + 4s);
    CHECK(timers.next() == k_start + 3s);
}

TEST_CASE("a deadline that is set again moves, and one that is unset is gone") {
    Timers timers;
    timers.set(k_one, k_start + 5s);
    timers.set(k_one, k_start + 1s);
    CHECK(timers.next() == k_start + 1s);
    timers.set(k_one, k_start + 9s);
    CHECK_FALSE(timers.pop(k_start + 8s));
    timers.set(k_one, std::nullopt);
    CHECK_FALSE(timers.has(k_one));
    CHECK_FALSE(timers.next());
    timers.set(k_two, std::nullopt);  // never was
}

TEST_CASE("what is due comes out once, the earliest first, and each kind has its own keys") {
    Timers timers;
    timers.set(k_one, k_start + 2s);
    timers.set(k_wait, k_start + 1s);
    timers.set(k_two, k_start + 3s);
    CHECK_FALSE(timers.pop(k_start));
    CHECK(timers.pop(k_start + 2s) == k_wait);
    CHECK(timers.pop(k_start + 2s) == k_one);
    CHECK_FALSE(timers.pop(k_start + 2s));
    CHECK(timers.has(k_two));
}
