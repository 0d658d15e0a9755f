#include <csignal>

#include <doctest/doctest.h>

#include "tests/unit/bench.hpp"

using namespace procd::core;
using Ids = std::vector<ProcessId>;

namespace {

struct Three {
    Bench bench;
    Caller caller = client(1);
    ProcessId a = bench.spawn(caller, process(procd_key()));
    ProcessId b = bench.spawn(caller, process(procd_key()));
    ProcessId c = bench.spawn(caller, process(procd_key()));
};

}  // namespace

TEST_CASE_FIXTURE(Three, "a wait for all is answered when the last has ended, in the order they were named") {
    const Token token = *bench.wait(caller, {c, a, b});
    bench.ends(a);
    bench.ends(b);
    CHECK(bench.answer(token) == nullptr);
    bench.ends(c);
    REQUIRE(bench.answer(token));
    CHECK(bench.answer(token)->ended == Ids{c, a, b});
    CHECK_FALSE(bench.answer(token)->timed_out);
}

TEST_CASE_FIXTURE(Three, "a wait for any is answered with the first, and names those that have ended") {
    const Token token = *bench.wait(caller, {c, a, b}, WaitMode::any);
    bench.ends(b);
    REQUIRE(bench.answer(token));
    CHECK(bench.answer(token)->ended == Ids{b});
    bench.ends(a);
    bench.ends(c);
    CHECK(bench.waits.size() == 1);
}

TEST_CASE_FIXTURE(Three, "a wait answers when the whole tree is gone, not before") {
    const Token token = *bench.wait(caller, {a});
    bench.main_exits(a);
    bench.tree_has(a, 2);
    CHECK(bench.answer(token) == nullptr);
    bench.pass(300ms);
    bench.tree_has(a, 0);
    CHECK(bench.answer(token));
}

TEST_CASE_FIXTURE(Three, "a wait for what has ended already is answered at once, as often as one likes") {
    bench.ends(a, 4);
    for (int i = 0; i < 3; ++i) {
        const Token token = *bench.wait(caller, {a});
        REQUIRE(bench.answer(token));
        CHECK(bench.answer(token)->ended == Ids{a});
    }
    const Token any = *bench.wait(caller, {a, b}, WaitMode::any);
    CHECK(bench.answer(any)->ended == Ids{a});
    const Token all = *bench.wait(caller, {a, b});
    CHECK(bench.answer(all) == nullptr);
    bench.ends(b);
    CHECK(bench.answer(all)->ended == Ids{a, b});
}

TEST_CASE_FIXTURE(Three, "a wait times out with what has ended by then, and 0 polls") {
    const Token poll = *bench.wait(caller, {a, b}, WaitMode::all, 0s);
    REQUIRE(bench.answer(poll));
    CHECK(bench.answer(poll)->timed_out);
    CHECK(bench.answer(poll)->ended.empty());

    const Token token = *bench.wait(caller, {a, b}, WaitMode::all, 2s);
    bench.ends(b);
    bench.pass(1999ms);
    CHECK(bench.answer(token) == nullptr);
    bench.pass(1ms);
    REQUIRE(bench.answer(token));
    CHECK(bench.answer(token)->timed_out);
    CHECK(bench.answer(token)->ended == Ids{b});
    bench.ends(a);
    CHECK(bench.waits.size() == 2);

    const Token done = *bench.wait(caller, {a, b}, WaitMode::all, 0s);
    CHECK_FALSE(bench.answer(done)->timed_out);
    CHECK_FALSE(bench.core.next_deadline());
}

TEST_CASE_FIXTURE(Three, "a wait that is answered in time needs its timer no more") {
    const Token token = *bench.wait(caller, {a}, WaitMode::all, 5s);
    CHECK(bench.core.next_deadline() == bench.now.mono + 5s);
    bench.ends(a);
    CHECK_FALSE(bench.core.next_deadline());
    bench.pass(10s);
    CHECK(bench.waits.size() == 1);
    CHECK_FALSE(bench.answer(token)->timed_out);
}

TEST_CASE_FIXTURE(Three, "a process that is not started cannot be waited for") {
    const ProcessId initial = bench.create(caller, process(procd_key()));
    const auto refused = bench.wait(caller, {a, initial});
    REQUIRE_FALSE(refused);
    CHECK(refused.refusal().kind == RefusalKind::not_started);
    CHECK(refused.refusal().message == "can only join a started process");
    REQUIRE(bench.start(caller, initial));
    CHECK(bench.wait(caller, {initial}));  // while it is being made
    bench.fails(initial);
    CHECK(bench.waits.size() == 1);
}

TEST_CASE_FIXTURE(Three, "a wait for a spawn that fails is answered although no record stays") {
    const ProcessId id = *bench.try_spawn(caller, process(procd_key()));
    const Token alone = *bench.wait(caller, {id});
    const Token both = *bench.wait(caller, {id, a});
    bench.fails(id);
    CHECK_FALSE(bench.known(id));
    CHECK(bench.answer(alone)->ended == Ids{id});
    bench.ends(a);
    CHECK(bench.answer(both)->ended == Ids{id, a});
}

TEST_CASE_FIXTURE(Three, "a process that waits for itself would wait for ever") {
    const auto refused = bench.wait(inside(a), {a});
    REQUIRE_FALSE(refused);
    CHECK(refused.refusal().kind == RefusalKind::deadlock);
    CHECK(refused.refusal().message == "can only join a child process");
    CHECK_FALSE(bench.wait(inside(a), {b, a}));
    CHECK_FALSE(bench.wait(inside(a), {a}, WaitMode::any));
    CHECK(bench.wait(inside(a), {a, b}, WaitMode::any));  // b may end
    CHECK(bench.wait(inside(a), {b}));
}

TEST_CASE_FIXTURE(Three, "many wait for one process, and each is told") {
    std::vector<Token> tokens;
    for (ConnectionId connection = 10; connection < 20; ++connection)
        tokens.push_back(*bench.wait(client(connection), {a}));
    bench.closes(12);
    bench.ends(a);
    CHECK(bench.waits.size() == tokens.size() - 1);
    CHECK(bench.answer(tokens[2]) == nullptr);  // nobody is there to be told
}

TEST_CASE_FIXTURE(Three, "a record that is closed while a wait names it still counts as ended") {
    const Token token = *bench.wait(caller, {a, b});
    bench.ends(a);
    REQUIRE(bench.close(a));
    CHECK_FALSE(bench.known(a));
    bench.ends(b);
    REQUIRE(bench.answer(token));
    CHECK(bench.answer(token)->ended == Ids{a, b});
}

TEST_CASE_FIXTURE(Three, "a wait with a closed record may also time out or be given up") {
    const Token token = *bench.wait(caller, {a, b}, WaitMode::all, 1s);
    REQUIRE(bench.wait(client(7), {a, b}));
    bench.ends(a);
    REQUIRE(bench.close(a));
    bench.pass(1s);
    CHECK(bench.answer(token)->ended == Ids{a});
    bench.closes(7);
    CHECK(bench.waits.size() == 1);
}

TEST_CASE("pending waits of a user have a bound, but for root's and procd's own") {
    Config config = Bench::default_config();
    config.max_waits = 2;
    Bench bench(config);
    const ProcessId id = bench.spawn(client(1, k_other), process(procd_key(k_other), false, "", k_other));
    CHECK(bench.wait(client(1, k_other), {id}));
    CHECK(bench.wait(client(2, k_other), {id}));
    const auto refused = bench.wait(client(3, k_other), {id});
    REQUIRE_FALSE(refused);
    CHECK(refused.refusal().kind == RefusalKind::limit);
    bench.closes(1);
    CHECK(bench.wait(client(3, k_other), {id}));
    for (const UserId unlimited : {UserId{0}, k_user})
        for (ConnectionId connection = 10; connection < 15; ++connection)
            CHECK(bench.wait(client(connection, unlimited), {id}));
}
