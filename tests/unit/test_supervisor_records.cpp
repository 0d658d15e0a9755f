#include <csignal>

#include <doctest/doctest.h>

#include "tests/unit/bench.hpp"

using namespace procd::core;

namespace {

Config keeping(std::size_t records) {
    Config config = Bench::default_config();
    config.retained = records;
    return config;
}

ProcessId ended(Bench& bench, const OwnerKey& owner, UserId uid = k_user) {
    const ProcessId id = bench.spawn(client(1, uid), process(owner, false, "", uid));
    bench.ends(id);
    return id;
}

}  // namespace

TEST_CASE("an id is never used again") {
    Bench bench(keeping(0));
    ProcessId last = 0;
    for (int i = 0; i < 10; ++i) {
        const ProcessId id = ended(bench, procd_key());
        CHECK(id > last);
        CHECK_FALSE(bench.known(id));
        last = id;
    }
}

TEST_CASE("of what procd and pids own, the newest ended records stay") {
    for (const OwnerKey& owner : {procd_key(), pid_key(3)}) {
        Bench bench(keeping(2));
        const ProcessId first = ended(bench, owner), second = ended(bench, owner),
                        third = ended(bench, owner);
        CHECK_FALSE(bench.known(first));
        CHECK(bench.known(second));
        CHECK(bench.known(third));
        CHECK(bench.events_of(first).back() == EventType::closed);
        REQUIRE(bench.all<Forget>().size() == 1);
        CHECK(bench.all<Forget>()[0].log == "/log/1");
        CHECK(bench.core.owned_by(owner)->size() == 2);
    }
}

TEST_CASE(
    "records stay while their connection, session or process lives, and count among the ended after it") {
    Bench bench(keeping(1));
    const SessionId session = bench.session(client(1));
    const ProcessId parent = bench.spawn(client(2), process(procd_key()));
    for (const OwnerKey& owner : {connection_key(1), session_key(session), process_key(parent)}) {
        const ProcessId first = ended(bench, owner), second = ended(bench, owner),
                        third = ended(bench, owner);
        for (const ProcessId id : {first, second, third}) CHECK(bench.known(id));
    }
    bench.main_exits(parent);
    bench.closes(1);
    bench.tree_has(parent, 0);
    CHECK(bench.core.processes().size() == 1);
    CHECK(bench.core.owned_by(connection_key(1)) == nullptr);
    CHECK(bench.core.owned_by(session_key(session)) == nullptr);
    CHECK(bench.core.owned_by(process_key(parent)) == nullptr);
}

TEST_CASE("each user's records are counted by themselves") {
    Bench bench(keeping(1));
    const ProcessId mine = ended(bench, procd_key());
    ended(bench, procd_key(k_other), k_other);
    const ProcessId theirs = ended(bench, procd_key(k_other), k_other);
    CHECK(bench.known(mine));
    CHECK(bench.known(theirs));
    CHECK(bench.core.processes().size() == 2);
}

TEST_CASE("a record that a pending wait names is never evicted") {
    Bench bench(keeping(1));
    const ProcessId awaited = bench.spawn(client(1), process(procd_key()));
    const ProcessId running = bench.spawn(client(1), process(procd_key()));
    const Token token = *bench.wait(client(1), {awaited, running});
    bench.ends(awaited);
    for (int i = 0; i < 5; ++i) ended(bench, procd_key());
    CHECK(bench.known(awaited));
    CHECK(bench.answer(token) == nullptr);
    bench.ends(running);
    CHECK(bench.answer(token)->ended == std::vector<ProcessId>{awaited, running});
    CHECK_FALSE(bench.known(awaited));  // by now the oldest
    CHECK(bench.core.processes().size() == 1);

    // Giving the wait up unpins, too.
    const ProcessId again = bench.spawn(client(1), process(procd_key()));
    const ProcessId other = bench.spawn(client(1), process(procd_key()));
    REQUIRE(bench.wait(client(7), {again, other}));
    bench.ends(again);
    ended(bench, procd_key());
    CHECK(bench.known(again));
    bench.closes(7);
    CHECK_FALSE(bench.known(again));
}

TEST_CASE("close forgets what has ended or never ran, and refuses what runs") {
    Bench bench;
    const ProcessId initial = bench.create(client(1), process(connection_key(1), false, "early"));
    const ProcessId starting = *bench.try_spawn(client(1), process(connection_key(1)));
    const ProcessId running = bench.spawn(client(1), process(connection_key(1)));
    const ProcessId stopping = bench.spawn(client(1), process(connection_key(1)));
    bench.main_exits(stopping);
    const ProcessId gone = ended(bench, connection_key(1));
    for (const ProcessId live : {starting, running, stopping}) {
        bench.forget_the_past();
        const auto refused = bench.core.close({gone, live}, bench.actions);
        REQUIRE_FALSE(refused);
        CHECK(refused.refusal().kind == RefusalKind::still_running);
        CHECK(
            refused.refusal().message ==
            "Cannot close a process while it is still running. You should first call join() or terminate().");
        CHECK(bench.known(gone));
        CHECK(bench.changes.empty());
    }
    REQUIRE(bench.core.close({gone, initial}, bench.actions));
    CHECK_FALSE(bench.known(gone));
    CHECK_FALSE(bench.known(initial));
    CHECK(bench.core.named("early") == nullptr);
    CHECK(bench.events_of(initial).back() == EventType::closed);
    CHECK(bench.count_for<Forget>(gone) == 1);
}

TEST_CASE("a record moves between the ended and the leased with its owner") {
    Bench bench(keeping(0));
    const ProcessId id = ended(bench, connection_key(1));
    REQUIRE(bench.core.set_owner(client(1), id, {connection_key(2), {}}, bench.actions));
    bench.closes(1);
    CHECK(bench.known(id));
    REQUIRE(bench.core.set_owner(client(1), id, {procd_key(), {}}, bench.actions));
    CHECK_FALSE(bench.known(id));
}

TEST_CASE("the processes of a user that have not ended have a bound, but for root's and procd's own") {
    Config config = Bench::default_config();
    config.max_processes = 2;
    Bench bench(config);
    const auto ask = [&](UserId uid) {
        return bench.try_spawn(client(1, uid), process(procd_key(uid), false, "", uid));
    };
    const ProcessId first = *ask(k_other);
    const ProcessId created =
        bench.create(client(1, k_other), process(procd_key(k_other), false, "", k_other));
    const auto refused = ask(k_other);
    REQUIRE_FALSE(refused);
    CHECK(refused.refusal().kind == RefusalKind::limit);
    for (int i = 0; i < 5; ++i) {
        CHECK(ask(0));
        CHECK(ask(k_user));
    }
    bench.fails(first);
    const ProcessId second = *ask(k_other);
    CHECK_FALSE(ask(k_other));
    REQUIRE(bench.close(created));
    CHECK(ask(k_other));
    bench.runs(second);
    bench.ends(second);
    CHECK(ask(k_other));
    CHECK_FALSE(ask(k_other));
}
