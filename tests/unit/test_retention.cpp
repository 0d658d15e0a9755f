#include <set>

#include <doctest/doctest.h>

#include "daemon/core/retention.hpp"

using namespace procd::core;

namespace {

constexpr auto k_nobody = [](ProcessId) { return false; };

}  // namespace

TEST_CASE("the newest records of each user stay") {
    Retention retention(2);
    for (const ProcessId id : {1, 2}) retention.add(id, 1000);
    for (const ProcessId id : {3, 4, 5}) retention.add(id, 2000);
    CHECK_FALSE(retention.surplus(1000, k_nobody));
    CHECK(retention.surplus(2000, k_nobody) == 3);
    retention.remove(3);
    CHECK_FALSE(retention.surplus(2000, k_nobody));
    CHECK_FALSE(retention.surplus(3000, k_nobody));
}

TEST_CASE("a pinned record stays and the next oldest goes in its place") {
    Retention retention(1);
    for (const ProcessId id : {1, 2, 3}) retention.add(id, 1000);
    const std::set<ProcessId> pinned{1};
    CHECK(retention.surplus(1000, [&](ProcessId id) { return pinned.contains(id); }) == 2);
    CHECK_FALSE(retention.surplus(1000, [](ProcessId) { return true; }));
}

TEST_CASE("pinned records take nobody's place among the newest") {
    Retention retention(2);
    for (const ProcessId id : {1, 2, 3, 4}) retention.add(id, 1000);
    CHECK_FALSE(retention.surplus(1000, [](ProcessId id) { return id <= 2; }));
}

TEST_CASE("a record is counted once and can be taken out again") {
    Retention retention(1);
    retention.add(1, 1000);
    retention.add(1, 1000);
    CHECK_FALSE(retention.surplus(1000, k_nobody));
    retention.add(2, 1000);
    retention.remove(1);
    retention.remove(1);
    CHECK_FALSE(retention.surplus(1000, k_nobody));
}
