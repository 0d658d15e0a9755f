#include <csignal>
#include <functional>
#include <tuple>

#include <doctest/doctest.h>

#include "tests/unit/bench.hpp"

using namespace procd::core;
using Types = std::vector<EventType>;

TEST_CASE("terminate is SIGTERM to the tree, then SIGKILL when the grace is over") {
    Bench bench;
    Creation creation = process(connection_key(1));
    creation.grace = 2s;
    const ProcessId id = bench.spawn(client(1), creation);
    REQUIRE(bench.terminate(id));
    const auto sent = bench.all<SendSignal>();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].signal == SIGTERM);
    CHECK(sent[0].tree);
    CHECK(sent[0].resume);
    CHECK(bench.at(id).alive());
    CHECK(bench.at(id).state() == State::stopping);
    bench.pass(1999ms);
    CHECK(bench.all<KillTree>().empty());
    bench.pass(1ms);
    CHECK(bench.count_for<KillTree>(id) == 1);
    bench.dies(id, SIGKILL);
    CHECK(bench.at(id).exitcode() == -SIGKILL);
    CHECK(bench.at(id).ending->cause == Cause::client);
    CHECK(bench.core.fate(bench.at(id)) == "ended: by a client");
    CHECK(bench.events_of(id) ==
          Types{EventType::created, EventType::started, EventType::stopping, EventType::exited});
}

TEST_CASE("the grace is the request's, else the process's, else procd's") {
    Config config = Bench::default_config();
    config.grace = 7s;
    for (const auto& [own, asked, expected] :
         {std::tuple<std::optional<Duration>, std::optional<Duration>, Duration>{std::nullopt, std::nullopt,
                                                                                 7s},
          {3s, std::nullopt, 3s},
          {3s, 5s, 5s},
          {std::nullopt, 0s, 0s}}) {
        Bench bench(config);
        Creation creation = process(connection_key(1));
        creation.grace = own;
        const ProcessId id = bench.spawn(client(1), creation);
        REQUIRE(bench.terminate(id, asked));
        CHECK(*bench.core.next_deadline() - bench.now.mono == expected);
    }
}

TEST_CASE("a second terminate may shorten the grace and never lengthens it") {
    Bench bench;
    const ProcessId id = bench.spawn(client(1), process(connection_key(1)));
    REQUIRE(bench.terminate(id, 5s));
    REQUIRE(bench.terminate(id, 60s));
    REQUIRE(bench.terminate(id));
    CHECK(*bench.core.next_deadline() - bench.now.mono == 5s);
    REQUIRE(bench.terminate(id, 1s));
    CHECK(*bench.core.next_deadline() - bench.now.mono == 1s);
}

TEST_CASE("kill_mode main signals the main alone, and the whole tree once that is gone") {
    Bench bench;
    Creation creation = process(connection_key(1));
    creation.kill_mode = KillMode::main;
    const ProcessId id = bench.spawn(client(1), creation);
    REQUIRE(bench.terminate(id));
    CHECK_FALSE(bench.all<SendSignal>()[0].tree);
    bench.main_dies(id, SIGTERM);
    bench.tree_has(id, 2);
    bench.pass(9s);
    CHECK(bench.sent(id, SIGTERM) == 1);  // the rest has the grace
    bench.pass(1s);
    CHECK(bench.count_for<KillTree>(id) == 1);

    const ProcessId other = bench.spawn(client(1), creation);
    bench.main_exits(other);
    bench.tree_has(other, 1);
    REQUIRE(bench.terminate(other));
    CHECK(bench.all<SendSignal>().back().tree);
}

TEST_CASE("terminate, kill and signal in every state") {
    struct Verb {
        const char* name;
        std::function<Outcome<Done>(Bench&, ProcessId)> call;
    };
    const Verb verbs[] = {
        {"terminate", [](Bench& bench, ProcessId id) { return bench.terminate(id); }},
        {"kill", [](Bench& bench, ProcessId id) { return bench.kill(id); }},
        {"signal",
         [](Bench& bench, ProcessId id) {
             return bench.core.signal({id}, {SIGUSR1, false}, bench.actions);
         }},
    };
    for (const Verb& verb : verbs) {
        CAPTURE(verb.name);
        Bench bench;
        const ProcessId initial = bench.create(client(1), process(connection_key(1), false, "early"));
        const auto refused = verb.call(bench, initial);
        REQUIRE_FALSE(refused);
        CHECK(refused.refusal().kind == RefusalKind::not_started);

        const ProcessId exited = bench.spawn(client(1), process(connection_key(1)));
        bench.ends(exited);
        bench.forget_the_past();
        CHECK(verb.call(bench, exited));
        CHECK(bench.actions.empty());
        CHECK(bench.changes.empty());

        // One that is not started fails the whole, before anything is done.
        const ProcessId running = bench.spawn(client(1), process(connection_key(1)));
        bench.forget_the_past();
        CHECK_FALSE(bench.core.terminate({running, initial}, std::nullopt, bench.now, bench.actions));
        CHECK_FALSE(bench.core.kill({running, initial}, bench.now, bench.actions));
        CHECK_FALSE(bench.core.signal({running, initial}, {SIGINT, true}, bench.actions));
        CHECK(bench.actions.empty());
    }
}

TEST_CASE("an end that is asked for while the child is being made begins when it has exec'd") {
    Bench bench;
    const ProcessId id = *bench.try_spawn(client(1), process(connection_key(1)));
    REQUIRE(bench.terminate(id));
    CHECK(bench.all<SendSignal>().empty());
    bench.runs(id);
    CHECK(bench.sent(id, SIGTERM) == 1);
    CHECK(bench.starts.size() == 1);
    CHECK(bench.events_of(id) == Types{EventType::created, EventType::started, EventType::stopping});
}

TEST_CASE("a child that hangs before its exec is abandoned by a kill, or after the grace") {
    for (const bool kill : {true, false}) {
        CAPTURE(kill);
        Bench bench;
        const ProcessId id = *bench.try_spawn(client(1), process(connection_key(1)));
        if (kill) {
            REQUIRE(bench.kill(id));
        } else {
            REQUIRE(bench.terminate(id, 3s));
            bench.pass(3s);
        }
        CHECK(bench.count_for<AbandonLaunch>(id) == 1);
        bench.tell(LaunchFailed{id, {"chdir", 0, true}});
        CHECK_FALSE(bench.known(id));
        CHECK(bench.starts[0].failed);
    }
}

TEST_CASE("a signal goes to the main, tree widens it, and it is no end by itself") {
    Bench bench;
    const ProcessId id = bench.spawn(client(1), process(connection_key(1)));
    REQUIRE(bench.core.signal({id}, {SIGHUP, false}, bench.actions));
    REQUIRE(bench.core.signal({id}, {SIGINT, true}, bench.actions));
    const auto sent = bench.all<SendSignal>();
    REQUIRE(sent.size() == 2);
    CHECK_FALSE(sent[0].tree);
    CHECK_FALSE(sent[0].resume);
    CHECK(sent[1].tree);
    CHECK(bench.at(id).state() == State::running);
    CHECK_FALSE(bench.core.next_deadline());
}

TEST_CASE("a signal to a child that is being made waits until it has exec'd") {
    Bench bench;
    const ProcessId id = *bench.try_spawn(client(1), process(connection_key(1)));
    REQUIRE(bench.core.signal({id}, {SIGINT, false}, bench.actions));
    CHECK(bench.all<SendSignal>().empty());
    bench.runs(id);
    CHECK(bench.sent(id, SIGINT) == 1);
    bench.dies(id, SIGINT);
    CHECK(bench.at(id).ending->cause == Cause::client);
}

TEST_CASE("the cause is a client's where its signal was the one that killed, else the process's own") {
    Bench bench;
    const ProcessId hit = bench.spawn(client(1), process(connection_key(1)));
    REQUIRE(bench.core.signal({hit}, {SIGUSR1, false}, bench.actions));
    bench.dies(hit, SIGUSR1);
    CHECK(bench.at(hit).ending->cause == Cause::client);

    const ProcessId crashed = bench.spawn(client(1), process(connection_key(1)));
    REQUIRE(bench.core.signal({crashed}, {SIGUSR1, false}, bench.actions));
    bench.dies(crashed, SIGSEGV);
    CHECK(bench.at(crashed).ending->cause == Cause::self);

    const ProcessId done = bench.spawn(client(1), process(connection_key(1)));
    REQUIRE(bench.core.signal({done}, {SIGTERM, false}, bench.actions));
    bench.ends(done, 0);
    CHECK(bench.at(done).ending->cause == Cause::self);
}

TEST_CASE("who asked for the end first is its cause") {
    Bench bench;
    const ProcessId id = bench.spawn(client(1), process(connection_key(1), true));
    REQUIRE(bench.terminate(id));
    bench.closes(1);
    bench.dies(id, SIGTERM);
    CHECK(bench.at(id).ending->cause == Cause::client);

    const ProcessId other = bench.spawn(client(2), process(connection_key(2), true));
    bench.closes(2);
    REQUIRE(bench.kill(other));
    bench.dies(other, SIGKILL);
    CHECK(bench.at(other).ending->cause == Cause::owner);

    const ProcessId late = bench.spawn(client(3), process(connection_key(3)));
    bench.main_exits(late);
    REQUIRE(bench.terminate(late));  // only what it left is ended
    bench.tree_has(late, 0);
    CHECK(bench.at(late).ending->cause == Cause::self);
}

TEST_CASE("signals to a process that is being started are kept as the kernel keeps them") {
    Bench bench;
    const ProcessId id = *bench.try_spawn(client(1), process(connection_key(1)));
    const auto send = [&](int number, bool tree = false, std::optional<UserId> sender = std::nullopt) {
        return static_cast<bool>(bench.core.signal({id}, {number, tree, sender}, bench.actions));
    };
    for (int i = 0; i < 1000; ++i) CHECK(send(SIGUSR1, i == 500));
    CHECK(bench.at(id).signals_pending.size() == 1);
    CHECK(send(SIGUSR1, false, k_other));
    CHECK(bench.at(id).signals_pending.size() == 2);
    for (std::size_t i = 0; i < PendingSignals::k_most_queued; ++i) CHECK(send(40));
    CHECK_FALSE(send(41));
    CHECK(bench.core.signal({id}, {40, false}, bench.actions).refusal().kind == RefusalKind::limit);
    CHECK(send(SIGSTOP));
    CHECK(send(SIGCONT));
    CHECK(send(SIGTSTP));
    bench.runs(id);
    CHECK(bench.sent(id, SIGUSR1) == 2);
    CHECK(bench.all<SendSignal>().front().tree);
    CHECK(bench.all<SendSignal>()[1].sender == k_other);
    CHECK(bench.sent(id, 40) == PendingSignals::k_most_queued);
    CHECK(bench.sent(id, SIGSTOP) == 0);
    CHECK(bench.sent(id, SIGCONT) == 0);
    CHECK(bench.sent(id, SIGTSTP) == 1);
    CHECK(bench.at(id).signals_pending.size() == 0);
}
