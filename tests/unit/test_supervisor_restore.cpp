#include <doctest/doctest.h>

#include "tests/unit/bench.hpp"

// From one procd to the next: after a kill, and in place.
namespace procd::core {
namespace {

// What the procd before had written down by now.
Saved saved_by(const Bench& bench) {
    return bench.core.freeze().saved;
}

std::size_t signals_to(const Actions& actions, ProcessId id) {
    return static_cast<std::size_t>(std::count_if(actions.begin(), actions.end(), [id](const Action& action) {
        const auto* signal = std::get_if<SendSignal>(&action);
        return signal && signal->id == id;
    }));
}

}  // namespace

TEST_CASE("what was known is known again, and numbers go on") {
    Bench before;
    const ProcessId first = before.spawn(client(1), process(procd_key())),
                    second = before.spawn(client(1), process(procd_key()));
    before.ends(second, 5);
    Bench after;
    after.actions = after.core.restore(saved_by(before), after.now);
    CHECK(after.at(first).alive());
    CHECK(after.at(second).exitcode() == 5);
    CHECK(after.core.active() == 1);
    const ProcessId third = after.spawn(client(1), process(procd_key()));
    CHECK(third == second + 1);
    CHECK(after.at(third).identity == "3");
    after.ends(first, 7);
    CHECK(after.at(first).exitcode() == 7);
}

TEST_CASE("connections and sessions have vanished, and what they owned has its fate") {
    Bench before;
    const ProcessId daemon = before.spawn(client(1), process(connection_key(1), true));
    const ProcessId other = before.spawn(client(1), process(connection_key(1), false));
    Bench after;
    const Actions actions = after.core.restore(saved_by(before), after.now);
    CHECK(signals_to(actions, daemon) == 1);
    CHECK(after.at(daemon).end_cause == Cause::owner);
    CHECK(signals_to(actions, other) == 0);
    CHECK(after.at(other).owner.kind == OwnerKind::procd);
    CHECK(after.at(other).was);
}

TEST_CASE("an ending goes on with the time that it has left") {
    Bench before;
    const ProcessId id = before.spawn(client(1), process(procd_key()));
    CHECK(before.terminate(id));
    before.pass(4s);
    Bench after;
    after.now = before.now;
    const Actions actions = after.core.restore(saved_by(before), after.now);
    CHECK(signals_to(actions, id) == 1);
    CHECK(*after.core.next_deadline() == before.now.mono + 6s);
    after.pass(6s);
    CHECK(after.at(id).life.phase() == Phase::killing);
}

TEST_CASE("a start under way is known as what came of it") {
    for (const bool born : {true, false}) {
        Bench before;
        const ProcessId id = *before.try_spawn(client(1), process(procd_key()));
        Bench after;
        (void)after.core.restore(saved_by(before), after.now);
        CHECK(after.core.starting() == 1);
        if (born) {
            after.runs(id);
            CHECK(after.at(id).alive());
        } else {
            after.fails(id);
            CHECK(after.core.find(id) == nullptr);
        }
        CHECK(after.core.starting() == 0);
    }
}

TEST_CASE("in place nothing has vanished: waits, sessions and what connections own") {
    Bench before;
    const ProcessId daemon = before.spawn(client(1), process(connection_key(1), true));
    const Token waiting = *before.wait(client(1), {daemon}, WaitMode::all, 30s);
    Bench after;
    after.now = before.now;
    const Actions actions = after.core.thaw(before.core.freeze(), after.now);
    CHECK(actions.empty());
    CHECK(after.at(daemon).owner.kind == OwnerKind::connection);
    CHECK(*after.core.next_deadline() == before.now.mono + 30s);
    after.ends(daemon, 3);
    REQUIRE(after.waits.size() == 1);
    CHECK(after.waits[0].token == waiting);
    after.tell(ConnectionClosed{1});
}

TEST_CASE("a record that only a wait still names is kept for it") {
    Bench before;
    const ProcessId one = before.spawn(client(1), process(procd_key())),
                    other = before.spawn(client(1), process(procd_key()));
    CHECK(before.wait(client(1), {one, other}));
    before.ends(one, 4);
    CHECK(before.close(one));
    Bench after;
    after.now = before.now;
    (void)after.core.thaw(before.core.freeze(), after.now);
    CHECK(after.core.find(one) == nullptr);
    after.ends(other, 0);
    REQUIRE(after.waits.size() == 1);
    CHECK(after.waits[0].ended == std::vector<ProcessId>{one, other});
}

TEST_CASE("what has changed is told once, and what was forgotten too") {
    Bench bench;
    const ProcessId id = bench.spawn(client(1), process(procd_key()));
    Changes changes = bench.core.take_changes();
    CHECK(changes.processes == std::set<ProcessId>{id});
    CHECK_FALSE(changes.owners.empty());
    CHECK_FALSE(bench.core.has_changes());
    bench.tell(Tick{});
    CHECK_FALSE(bench.core.has_changes());
    bench.ends(id);
    CHECK(bench.close(id));
    changes = bench.core.take_changes();
    CHECK(changes.processes.contains(id));
    CHECK(bench.core.find(id) == nullptr);
}

}  // namespace procd::core
