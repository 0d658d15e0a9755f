#include <csignal>
#include <ctime>

#include <doctest/doctest.h>

#include "tests/unit/bench.hpp"

using namespace procd::core;
using Types = std::vector<EventType>;

namespace {

// A process that owns others, and the caller inside of it.
ProcessId owning_process(Bench& bench) {
    return bench.spawn(client(50), process(procd_key(), false, "parent"));
}

void check_ended_by_its_owner(Bench& bench, ProcessId id) {
    CHECK(bench.sent(id, SIGTERM) == 1);
    bench.dies(id, SIGTERM);
    CHECK(bench.at(id).exitcode() == -SIGTERM);
    CHECK(bench.at(id).ending->cause == Cause::owner);
}

void check_handed_over(Bench& bench, ProcessId id, const std::string& was) {
    CHECK(bench.sent(id, SIGTERM) == 0);
    CHECK(bench.at(id).state() == State::running);
    CHECK(bench.at(id).owner == procd_key());
    CHECK(bench.at(id).was == was);
    CHECK(bench.events_of(id).back() == EventType::changed);
    bench.ends(id, 5);
    CHECK(bench.at(id).exitcode() == 5);
    CHECK(bench.at(id).ending->cause == Cause::self);
}

}  // namespace

TEST_CASE("a daemon ends with its connection, a non-daemon runs on as procd's") {
    // The peer ended, or its connection closed: both are the end.
    for (const bool closed : {true, false}) {
        CAPTURE(closed);
        Bench bench;
        const ProcessId daemon = bench.spawn(client(1), process(connection_key(1), true));
        const ProcessId other = bench.spawn(client(1), process(connection_key(1), false));
        const ProcessId elsewhere = bench.spawn(client(2), process(connection_key(2), true));
        if (closed)
            bench.closes(1);
        else
            bench.vanishes(connection_key(1));
        check_ended_by_its_owner(bench, daemon);
        CHECK(bench.core.fate(bench.at(daemon)) == "ended: its owner connection of bash[4100] ended");
        check_handed_over(bench, other, "connection of bash[4100]");
        CHECK(bench.at(elsewhere).state() == State::running);
    }
}

TEST_CASE("a daemon ends with its session's connection, a non-daemon runs on as procd's") {
    Bench bench;
    const SessionId session = bench.session(client(1));
    const ProcessId daemon = bench.spawn(client(2), process(session_key(session), true));
    const ProcessId other = bench.spawn(client(2), process(session_key(session), false));
    bench.closes(2);  // who spawned is not who owns
    CHECK(bench.at(daemon).state() == State::running);
    bench.closes(1);
    check_ended_by_its_owner(bench, daemon);
    check_handed_over(bench, other, "session s1");
    CHECK(bench.core.find_session(session) == nullptr);
}

TEST_CASE("a session that ends politely ends its daemons and waits for the others") {
    Bench bench;
    const SessionId session = bench.session(client(1));
    const ProcessId daemon = bench.spawn(client(2), process(session_key(session), true));
    const ProcessId other = bench.spawn(client(2), process(session_key(session), false));
    const ProcessId unstarted = bench.create(client(2), process(session_key(session), false));
    const ProcessId done = bench.spawn(client(2), process(session_key(session), false));
    bench.ends(done);
    CHECK(bench.end_session(client(1), session) == std::vector<ProcessId>{other});
    check_ended_by_its_owner(bench, daemon);
    CHECK(bench.at(other).owner == session_key(session));
    CHECK(bench.at(other).state() == State::running);
    CHECK_FALSE(bench.known(unstarted));
    CHECK(bench.known(done));

    const auto refused = bench.try_spawn(client(2), process(session_key(session), false));
    REQUIRE_FALSE(refused);
    CHECK(refused.refusal().kind == RefusalKind::owner_gone);

    // Its client gives up the waiting: it vanishes.
    bench.closes(1);
    check_handed_over(bench, other, "session s1");
}

TEST_CASE("a daemon that takes its time to end gets one SIGTERM, however often its owner ends") {
    Bench bench;
    const SessionId session = bench.session(client(1));
    const ProcessId daemon = bench.spawn(client(2), process(session_key(session), true));
    bench.end_session(client(1), session);
    bench.pass(3s);
    bench.closes(1);
    bench.tell(StopSignal{SIGTERM});
    CHECK(bench.sent(daemon, SIGTERM) == 1);
    bench.pass(7s);
    CHECK(bench.count_for<KillTree>(daemon) == 1);
    bench.dies(daemon, SIGKILL);
    CHECK(bench.at(daemon).ending->cause == Cause::owner);
}

TEST_CASE("only the connection that holds a session ends it, and only while it is there") {
    Bench bench;
    const SessionId session = bench.session(client(1));
    const auto foreign = bench.core.end_session(client(2), session, bench.now, bench.actions);
    REQUIRE_FALSE(foreign);
    CHECK(foreign.refusal().kind == RefusalKind::not_permitted);
    const auto hidden = bench.core.end_session(client(3, k_other), session, bench.now, bench.actions);
    REQUIRE_FALSE(hidden);
    CHECK(hidden.refusal().kind == RefusalKind::owner_gone);
    CHECK_FALSE(bench.core.end_session(client(1), 99, bench.now, bench.actions));
    bench.closes(1);
    CHECK_FALSE(bench.core.end_session(client(1), session, bench.now, bench.actions));
}

TEST_CASE("a session's id is never used again") {
    Bench bench;
    const SessionId first = bench.session(client(1));
    bench.closes(1);
    CHECK(bench.session(client(2)) == first + 1);
}

TEST_CASE("a daemon ends with its owning process, a non-daemon runs on as procd's") {
    Bench bench;
    const ProcessId parent = owning_process(bench);
    const ProcessId daemon = bench.spawn(inside(parent), process(process_key(parent), true));
    const ProcessId other = bench.spawn(inside(parent), process(process_key(parent), false));
    const ProcessId unstarted = bench.create(inside(parent), process(process_key(parent), true));
    bench.main_exits(parent);  // the main's end is the owner's, whatever it leaves behind
    check_ended_by_its_owner(bench, daemon);
    check_handed_over(bench, other, "process " + std::to_string(parent));
    CHECK_FALSE(bench.known(unstarted));
}

TEST_CASE("the end of a daemon goes down the whole chain of owners") {
    Bench bench;
    const ProcessId first = bench.spawn(client(1), process(connection_key(1), true));
    const ProcessId second = bench.spawn(inside(first), process(process_key(first)));
    const ProcessId third = bench.spawn(inside(second), process(process_key(second)));
    CHECK(bench.at(third).daemon);
    bench.closes(1);
    CHECK(bench.sent(second, SIGTERM) == 0);
    bench.dies(first, SIGTERM);
    CHECK(bench.sent(second, SIGTERM) == 1);
    bench.dies(second, SIGTERM);
    CHECK(bench.sent(third, SIGTERM) == 1);
}

TEST_CASE("a daemon ends with the watched pid, a non-daemon runs on as procd's") {
    Bench bench;
    const ProcessId daemon = bench.spawn(client(1), process(pid_key(8), true));
    const ProcessId other = bench.spawn(client(1), process(pid_key(8), false));
    bench.closes(1);
    CHECK(bench.at(daemon).state() == State::running);
    bench.vanishes(pid_key(9));
    CHECK(bench.at(daemon).state() == State::running);
    bench.vanishes(pid_key(8));
    check_ended_by_its_owner(bench, daemon);
    CHECK(bench.core.fate(bench.at(daemon)) == "ended: its owner bash[4100] ended");
    check_handed_over(bench, other, "bash[4100]");
}

TEST_CASE("what procd owns outlives its caller, daemon or not") {
    Bench bench;
    const ProcessId daemon = bench.spawn(client(1), process(procd_key(), true));
    const ProcessId other = bench.spawn(client(1), process(procd_key(), false));
    bench.closes(1);
    CHECK(bench.at(daemon).state() == State::running);
    CHECK(bench.at(other).state() == State::running);
}

TEST_CASE("a child that is still being made shares its owner's end") {
    Bench bench;
    const ProcessId daemon = *bench.try_spawn(client(1), process(connection_key(1), true));
    const ProcessId other = *bench.try_spawn(client(1), process(connection_key(1), false));
    bench.closes(1);
    bench.runs(daemon);
    bench.runs(other);
    check_ended_by_its_owner(bench, daemon);
    CHECK(bench.at(other).owner == procd_key());
    CHECK(bench.at(other).state() == State::running);
}

TEST_CASE("nobody becomes the owner of anything after its end") {
    Bench bench;
    const ProcessId parent = owning_process(bench);
    const SessionId session = bench.session(client(1));
    bench.vanishes(connection_key(1));  // a forked copy still holds the socket
    bench.main_exits(parent);
    for (const OwnerKey& owner :
         {connection_key(1), session_key(session), process_key(parent), process_key(99)}) {
        const auto refused = bench.try_spawn(client(1), process(owner, true));
        REQUIRE_FALSE(refused);
        CHECK(refused.refusal().kind == RefusalKind::owner_gone);
    }
    CHECK_FALSE(bench.core.open_session(client(1), "", {}, nullptr, nullptr));
    const ProcessId moved = bench.spawn(client(2), process(procd_key()));
    CHECK_FALSE(bench.core.set_owner(client(2), moved, {connection_key(1), {}}, bench.actions));
}

TEST_CASE("a process or session of another user owns nothing of mine") {
    Bench bench;
    const ProcessId parent = owning_process(bench);
    const SessionId session = bench.session(client(1));
    for (const OwnerKey& owner : {process_key(parent), session_key(session)}) {
        const auto refused = bench.try_spawn(client(2, k_other), process(owner, true, "", k_other));
        REQUIRE_FALSE(refused);
        CHECK(refused.refusal().kind == RefusalKind::not_permitted);
    }
    Caller root = client(3, 0);
    root.sees_all = true;
    CHECK(bench.try_spawn(root, process(session_key(session), true, "", 0)));
}

TEST_CASE("a process is given to another owner, with its fate") {
    Bench bench;
    const ProcessId id = bench.spawn(client(1), process(connection_key(1), true));
    REQUIRE(bench.core.set_owner(client(1), id, {procd_key(), {}}, bench.actions));
    CHECK(bench.events_of(id).back() == EventType::changed);
    CHECK(bench.core.fate(bench.at(id)) == "ends when procd stops");
    bench.closes(1);
    CHECK(bench.at(id).state() == State::running);
    CHECK_FALSE(bench.at(id).was);

    const auto refused = bench.core.set_owner(client(1), id, {process_key(id), {}}, bench.actions);
    REQUIRE_FALSE(refused);
    CHECK(refused.refusal().kind == RefusalKind::bad_request);

    bench.forget_the_past();
    REQUIRE(bench.core.set_owner(client(2), id, {procd_key(), {}}, bench.actions));
    CHECK(bench.changes.empty());  // it is already
}

TEST_CASE("the fate says what will end a process") {
    Bench bench;
    const ProcessId parent = owning_process(bench);
    const SessionId session = bench.session(client(1));
    const auto fate = [&](const OwnerKey& owner, bool daemon) {
        return bench.core.fate(bench.at(bench.spawn(client(1), process(owner, daemon))));
    };
    CHECK(fate(procd_key(), true) == "ends when procd stops");
    CHECK(fate(procd_key(), false) == "runs to its own end; a stopping procd waits 10 s for it");
    CHECK(fate(session_key(session), true) == "ends when session s1 ends");
    CHECK(fate(session_key(session), false) == "session s1 waits for it");
    CHECK(fate(connection_key(1), true) == "ends when connection of bash[4100] ends");
    CHECK(fate(connection_key(1), false) == "runs on when connection of bash[4100] ends");
    CHECK(fate(process_key(parent), true) == "ends when process 1 ends");
    CHECK(fate(pid_key(3), false) == "runs on when bash[4100] ends");
}

TEST_CASE("a process that was not started is nobody's owner, and has not ended") {
    Bench bench;
    const ProcessId initial = bench.create(client(1), process(connection_key(1)));
    const auto refused = bench.try_spawn(client(1), process(process_key(initial)));
    REQUIRE_FALSE(refused);
    CHECK(refused.refusal().kind == RefusalKind::not_started);
    CHECK(refused.refusal().message == "process 1 has not been started");
    const ProcessId other = bench.spawn(client(1), process(connection_key(1)));
    CHECK(bench.core.set_owner(client(1), other, {process_key(initial), {}}, bench.actions).refusal().kind ==
          RefusalKind::not_started);
    CHECK(bench.try_spawn(client(2, k_other), process(process_key(initial))).refusal().kind ==
          RefusalKind::not_permitted);
    REQUIRE(bench.start(client(1), initial));
    CHECK(bench.try_spawn(client(1), process(process_key(initial))).refusal().kind ==
          RefusalKind::not_started);
    bench.runs(initial);
    CHECK(bench.try_spawn(client(1), process(process_key(initial))));
    bench.ends(initial);
    CHECK(bench.try_spawn(client(1), process(process_key(initial))).refusal().kind ==
          RefusalKind::owner_gone);
}

TEST_CASE("of the pids that own nothing any more so many are remembered, and the watches of the others go") {
    Bench bench;
    const auto own_one = [&bench](std::uint64_t watch) {
        const ProcessId id = bench.spawn(client(1), process(pid_key(watch)));
        bench.ends(id);
        REQUIRE(bench.close(id));
        return bench.changes.size();
    };
    for (std::uint64_t watch = 1; watch <= k_most_resting_owners; ++watch) own_one(watch);
    own_one(1);  // used again: not the oldest any more
    const auto forgotten = [&bench] {
        std::vector<std::uint64_t> numbers;
        for (const StopWatching& stop : bench.all<StopWatching>())
            if (stop.forget) numbers.push_back(stop.owner.number);
        return numbers;
    };
    CHECK(forgotten().empty());
    own_one(5000);
    CHECK(forgotten() == std::vector<std::uint64_t>{2});
    CHECK(bench.core.owned_by(pid_key(2)) == nullptr);
    // Names go on where the owner is remembered.
    CHECK(bench.at(bench.spawn(client(1), process(pid_key(1)))).name == "Process-3");
    CHECK(bench.at(bench.spawn(client(1), process(pid_key(2)))).name == "Process-1");
    bench.vanishes(pid_key(3));
    own_one(5001);
    CHECK(forgotten().size() == 1);  // the one that ended made room
}

TEST_CASE("the sessions of a connection are found without a look at all others") {
    constexpr ConnectionId k_many = 20'000;
    Bench bench;
    for (ConnectionId connection = 1; connection <= k_many; ++connection) bench.session(client(connection));
    CHECK(bench.core.sessions_held_by(7) == std::set<SessionId>{7});
    CHECK(bench.core.sessions_held_by(k_many + 1).empty());
    const std::clock_t begin = std::clock();
    for (ConnectionId connection = 1; connection <= k_many; ++connection) bench.closes(connection);
    CHECK((std::clock() - begin) / CLOCKS_PER_SEC < 1);
    CHECK_FALSE(bench.core.has_sessions());
    CHECK(bench.core.sessions_held_by(7).empty());
}
