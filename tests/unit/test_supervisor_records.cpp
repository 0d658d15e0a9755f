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

namespace {

Creation big(std::size_t bytes, UserId uid = k_other) {
    Creation creation = process(procd_key(uid), false, "", uid);
    auto spec = std::make_shared<LaunchSpec>(*creation.spec);
    spec->command.push_back(std::string(bytes, 'x'));
    creation.spec = std::move(spec);
    return creation;
}

}  // namespace

TEST_CASE("the memory that a user's records take has a bound") {
    constexpr std::size_t k_kib = 1024;
    Config config = Bench::default_config();
    config.max_record_bytes = 1040 * k_kib;
    Bench bench(config);
    const Caller other = client(1, k_other);
    // A command is there twice until the process is started.
    const ProcessId first = bench.create(other, big(200 * k_kib));
    const ProcessId second = bench.create(other, big(200 * k_kib));
    const auto refused = bench.core.create(other, big(200 * k_kib), bench.now);
    REQUIRE_FALSE(refused);
    CHECK(refused.refusal().kind == RefusalKind::limit);
    CHECK(refused.refusal().message.find("max-record-bytes, 1064960") != std::string::npos);
    CHECK(
        bench.core.create(client(2), big(200 * k_kib, k_user), bench.now));  // procd's own user has no bound
    REQUIRE(bench.start(other, first));
    bench.runs(first);
    CHECK(bench.core.create(other, big(200 * k_kib), bench.now));
    CHECK_FALSE(bench.core.create(other, big(200 * k_kib), bench.now));
    REQUIRE(bench.close(second));
    CHECK(bench.core.create(other, big(200 * k_kib), bench.now));
}

TEST_CASE("ended records make room when they take half of the memory") {
    constexpr std::size_t k_kib = 1024;
    Config config = Bench::default_config();
    config.max_record_bytes = 1000 * k_kib;
    Bench bench(config);
    for (int i = 0; i < 20; ++i) {
        const ProcessId id = bench.spawn(client(1, k_other), big(200 * k_kib));
        bench.ends(id);
    }
    CHECK(bench.core.processes().size() == 2);
    CHECK(bench.known(20));
    CHECK(bench.known(19));
    for (int i = 0; i < 20; ++i) bench.ends(bench.spawn(client(2), big(200 * k_kib, k_user)));
    CHECK(bench.core.processes().size() == 22);
}

TEST_CASE("sessions and waits are on the same account, and come off it") {
    Config config = Bench::default_config();
    config.max_record_bytes = 64 * 1024;
    Bench bench(config);
    const Caller other = client(1, k_other);
    std::vector<ProcessId> ids;
    for (int i = 0; i < 20; ++i)
        ids.push_back(bench.spawn(other, process(connection_key(1), false, "", k_other)));
    std::size_t waits = 0, sessions = 0;
    while (bench.wait(other, ids)) REQUIRE(++waits < 1000);
    CHECK(waits > 10);
    CHECK(bench.core.charge(k_other, Wait::bytes_for(ids.size())).refusal().kind == RefusalKind::limit);
    for (const ProcessId id : ids) bench.ends(id);
    CHECK(bench.waits.size() == waits);
    while (bench.core.open_session(other, "", {}, nullptr, nullptr)) REQUIRE(++sessions < 1000);
    CHECK(sessions > 50);
    CHECK(bench.core.charge(k_other, 4096).refusal().kind == RefusalKind::limit);
    bench.closes(1);  // the records stay
    CHECK(bench.core.charge(k_other, 30'000));
    bench.core.release(k_other, 30'000);
    CHECK(bench.core.charge(k_other, 30'000));
}
