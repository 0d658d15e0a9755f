#include <csignal>

#include <doctest/doctest.h>

#include "tests/unit/bench.hpp"

using namespace procd::core;

namespace {

struct Stopping {
    Bench bench;
    ProcessId daemon = bench.spawn(client(1), process(procd_key(), true));
    ProcessId other = bench.spawn(client(1), process(procd_key(), false));
    ProcessId unstarted = bench.create(client(1), process(procd_key(), false));

    void signal() { bench.tell(StopSignal{SIGTERM}); }
    void shutdown(bool wait, bool at_once) {
        REQUIRE(bench.core.shutdown(wait, at_once, bench.now, bench.actions));
    }
    void daemon_is_ended() {
        CHECK(bench.sent(daemon, SIGTERM) == 1);
        bench.dies(daemon, SIGTERM);
        CHECK(bench.at(daemon).ending->cause == Cause::shutdown);
        CHECK(bench.core.fate(bench.at(daemon)) == "ended: procd stopped");
    }
    void other_is_ended() {
        CHECK(bench.sent(other, SIGTERM) == 1);
        CHECK_FALSE(bench.leaves());
        bench.dies(other, SIGTERM);
        CHECK(bench.at(other).ending->cause == Cause::shutdown);
        CHECK(bench.all<Leave>().size() == 1);
    }
};

}  // namespace

TEST_CASE("procd with nothing to wait for leaves at once, and once only") {
    Bench bench;
    const ProcessId id = bench.spawn(client(1), process(procd_key()));
    bench.ends(id);
    bench.tell(StopSignal{SIGTERM});
    CHECK(bench.all<Leave>().size() == 1);
    bench.tell(StopSignal{SIGTERM});
    bench.pass(1h);
    CHECK(bench.all<Leave>().size() == 1);
}

TEST_CASE_FIXTURE(Stopping, "a stop signal ends daemons at once and others after the drain time") {
    signal();
    CHECK(bench.core.stopping());
    daemon_is_ended();
    CHECK_FALSE(bench.known(unstarted));
    CHECK(bench.sent(other, SIGTERM) == 0);
    bench.pass(9999ms);
    CHECK(bench.sent(other, SIGTERM) == 0);
    bench.pass(1ms);
    other_is_ended();
}

TEST_CASE_FIXTURE(Stopping, "a non-daemon that ends within the drain time keeps its own end") {
    signal();
    bench.dies(daemon, SIGTERM);
    bench.ends(other, 3);
    CHECK(bench.at(other).ending->cause == Cause::self);
    CHECK(bench.leaves());
    CHECK(bench.at(other).exitcode() == 3);
}

TEST_CASE_FIXTURE(Stopping, "nothing is started by a procd that stops") {
    const ProcessId waiting = bench.create(client(1), process(procd_key()));
    signal();
    for (const auto& refused : {bench.try_spawn(client(1), process(procd_key())),
                                bench.core.create(client(1), process(procd_key()), bench.now)}) {
        REQUIRE_FALSE(refused);
        CHECK(refused.refusal().kind == RefusalKind::shutting_down);
    }
    const auto session = bench.core.open_session(client(1), "", {}, nullptr, nullptr);
    REQUIRE_FALSE(session);
    CHECK(session.refusal().kind == RefusalKind::shutting_down);
    CHECK_FALSE(bench.known(waiting));
}

TEST_CASE_FIXTURE(Stopping,
                  "a second signal does not wait for non-daemons, a third not for anybody's grace") {
    signal();
    signal();
    CHECK(bench.sent(daemon, SIGTERM) == 1);
    CHECK(bench.sent(other, SIGTERM) == 1);
    CHECK(bench.all<KillTree>().empty());
    signal();
    CHECK(bench.count_for<KillTree>(daemon) == 1);
    CHECK(bench.count_for<KillTree>(other) == 1);
    bench.dies(daemon, SIGKILL);
    bench.dies(other, SIGKILL);
    CHECK(bench.all<Leave>().size() == 1);
}

TEST_CASE_FIXTURE(Stopping, "shutdown is as the first signal, and again it changes nothing") {
    shutdown(false, false);
    daemon_is_ended();
    bench.pass(5s);
    shutdown(false, false);
    bench.pass(4999ms);
    CHECK(bench.sent(other, SIGTERM) == 0);
    bench.pass(1ms);
    other_is_ended();
}

TEST_CASE_FIXTURE(Stopping, "shutdown --wait waits for non-daemons for ever") {
    shutdown(true, false);
    daemon_is_ended();
    bench.pass(24h);
    CHECK(bench.sent(other, SIGTERM) == 0);
    bench.ends(other);
    CHECK(bench.leaves());
}

TEST_CASE_FIXTURE(Stopping, "shutdown --wait after a stop lifts its bound, and a signal ends the waiting") {
    signal();
    shutdown(true, false);
    daemon_is_ended();
    bench.pass(24h);
    CHECK(bench.sent(other, SIGTERM) == 0);
    signal();
    other_is_ended();
}

TEST_CASE_FIXTURE(Stopping, "shutdown --now waits for nobody but for the grace") {
    shutdown(false, true);
    daemon_is_ended();
    other_is_ended();
}

TEST_CASE_FIXTURE(Stopping, "shutdown --now cuts a drain short") {
    shutdown(true, false);
    daemon_is_ended();
    shutdown(false, true);
    other_is_ended();
}

TEST_CASE_FIXTURE(Stopping, "a stopping procd kills what ignores SIGTERM when the grace is over") {
    shutdown(false, true);
    bench.pass(10s);
    CHECK(bench.count_for<KillTree>(daemon) >= 1);
    CHECK(bench.count_for<KillTree>(other) >= 1);
    CHECK_FALSE(bench.leaves());
}

TEST_CASE_FIXTURE(Stopping, "a stopping procd gives nobody a longer grace than is due to it") {
    REQUIRE(bench.terminate(other, 1h));
    REQUIRE(bench.terminate(daemon, 1h));
    shutdown(false, true);
    bench.pass(10s);
    CHECK(bench.count_for<KillTree>(daemon) >= 1);
    CHECK(bench.count_for<KillTree>(other) >= 1);
}

TEST_CASE_FIXTURE(Stopping, "procd leaves when the whole trees are gone, not before") {
    bench.ends(daemon);
    signal();
    bench.main_exits(other);
    bench.tree_has(other, 1);
    bench.pass(300ms);
    CHECK_FALSE(bench.leaves());
    bench.tree_has(other, 1);
    bench.tree_has(other, 0);
    CHECK(bench.leaves());
}

TEST_CASE("a stopping procd waits for a child that is being made, and ends it") {
    enum class Child { starts, cannot_start, hangs };
    for (const bool daemon : {true, false}) {
        for (const Child child : {Child::starts, Child::cannot_start, Child::hangs}) {
            CAPTURE(daemon);
            CAPTURE(static_cast<int>(child));
            Bench bench;
            const ProcessId id = *bench.try_spawn(client(1), process(procd_key(), daemon));
            bench.tell(StopSignal{SIGINT});
            bench.tell(StopSignal{SIGINT});
            CHECK_FALSE(bench.leaves());
            switch (child) {
                case Child::starts:
                    bench.runs(id);
                    CHECK(bench.sent(id, SIGTERM) == 1);
                    bench.dies(id, SIGTERM);
                    break;
                case Child::cannot_start:
                    bench.fails(id);
                    break;
                case Child::hangs:
                    bench.tell(StopSignal{SIGINT});
                    CHECK(bench.count_for<AbandonLaunch>(id) == 1);
                    bench.tell(LaunchFailed{id, {"chdir", 0, true}});
                    break;
            }
            CHECK(bench.all<Leave>().size() == 1);
        }
    }
}

TEST_CASE("leftovers that were kept go when procd stops") {
    for (const bool daemon : {true, false}) {
        CAPTURE(daemon);
        Bench bench;
        Creation creation = process(procd_key(), daemon);
        creation.keep_leftovers = true;
        const ProcessId id = bench.spawn(client(1), creation);
        bench.main_exits(id);
        bench.tree_has(id, 2);
        bench.pass(1s);
        bench.tree_has(id, 2);
        CHECK(bench.core.fate(bench.at(id)) == "ended; 2 left behind, kept until its owner ends");
        REQUIRE(bench.core.shutdown(true, false, bench.now, bench.actions));
        CHECK(bench.sent(id, SIGTERM) == 1);
        CHECK_FALSE(bench.leaves());
        bench.tree_has(id, 0);
        CHECK(bench.leaves());
    }
}
