#include <doctest/doctest.h>

#include "daemon/loop/journal.hpp"
#include "tests/unit/bench.hpp"

using namespace procd;
using namespace procd::core;

TEST_CASE("where nothing is written down, what changes is not kept for it either") {
    asio::io_context io;
    Bench bench;
    loop::Journal journal(io, "");
    journal.begin(bench.core, {});
    bench.spawn(client(1), process(procd_key()));
    REQUIRE(bench.core.has_changes());
    journal.write();
    CHECK_FALSE(bench.core.has_changes());
}
