#include <doctest/doctest.h>

#include "daemon/core/waits.hpp"

using namespace procd::core;

TEST_CASE("a wait for all is done when the last has ended, a wait for any with the first") {
    Wait wait{1, 5, 1000, {7, 8}, WaitMode::all, 0};
    CHECK_FALSE(wait.done());
    wait.ended = 1;
    CHECK_FALSE(wait.done());
    wait.mode = WaitMode::any;
    CHECK(wait.done());
    wait.mode = WaitMode::all;
    wait.ended = 2;
    CHECK(wait.done());
}

TEST_CASE("pending waits are found by token, connection and user until they are taken") {
    Waits waits;
    waits.add({1, 5, 1000, {7}, WaitMode::all, 0});
    waits.add({2, 5, 1000, {8}, WaitMode::all, 0});
    waits.add({3, 6, 2000, {7}, WaitMode::any, 0});
    CHECK(waits.size() == 3);
    CHECK(waits.of_connection(5) == std::vector<Token>{1, 2});
    CHECK(waits.of_user(1000) == 2);
    CHECK(waits.find(3)->ids == std::vector<ProcessId>{7});
    CHECK(waits.take(1).token == 1);
    CHECK(waits.find(1) == nullptr);
    CHECK(waits.of_connection(5) == std::vector<Token>{2});
    CHECK(waits.of_user(1000) == 1);
    waits.take(2);
    waits.take(3);
    CHECK(waits.of_connection(6).empty());
    CHECK(waits.of_user(2000) == 0);
    CHECK(waits.size() == 0);
}
