#include <cerrno>
#include <csignal>

#include <doctest/doctest.h>

#include "tests/unit/bench.hpp"

using namespace procd::core;
using Types = std::vector<EventType>;

TEST_CASE("a process is created, started, and exits") {
    Bench bench;
    const ProcessId id = bench.create(client(1), process(connection_key(1), false, "foo"));
    CHECK(bench.at(id).state() == State::initial);
    CHECK(bench.at(id).pid == 0);
    CHECK_FALSE(bench.at(id).alive());
    CHECK_FALSE(bench.at(id).exitcode());
    CHECK(bench.all<Launch>().empty());

    REQUIRE(bench.start(client(1), id));
    REQUIRE(bench.all<Launch>().size() == 1);
    CHECK(bench.all<Launch>()[0].name == "foo");
    CHECK(bench.all<Launch>()[0].spec->command == std::vector<std::string>{"sleep", "100"});
    CHECK(bench.starts.empty());
    CHECK(bench.at(id).state() == State::initial);

    bench.runs(id);
    REQUIRE(bench.starts.size() == 1);
    CHECK_FALSE(bench.starts[0].failed);
    CHECK(bench.at(id).pid == 4000 + id);
    CHECK(bench.at(id).alive());
    CHECK(bench.at(id).state() == State::running);

    bench.main_exits(id, 3);
    CHECK(bench.count_for<CountTree>(id) == 1);
    CHECK_FALSE(bench.at(id).alive());
    CHECK(bench.at(id).exitcode() == 3);
    CHECK(bench.at(id).state() == State::stopping);
    bench.tree_has(id, 0);
    CHECK(bench.at(id).state() == State::exited);
    CHECK(bench.at(id).pid == 4000 + id);
    CHECK(bench.at(id).ending->cause == Cause::self);
    CHECK(bench.count_for<ReleaseTree>(id) == 1);
    CHECK(bench.events_of(id) == Types{EventType::created, EventType::started, EventType::exited});
    CHECK_FALSE(bench.core.next_deadline());
}

TEST_CASE("a process that a signal ended has the signal's number as its exit code, negative") {
    Bench bench;
    const ProcessId id = bench.spawn(client(1), process(connection_key(1)));
    bench.dies(id, SIGSEGV);
    CHECK(bench.at(id).exitcode() == -SIGSEGV);
    CHECK(bench.at(id).ending->cause == Cause::self);
}

TEST_CASE("a lost exit code is not invented") {
    Bench bench;
    const ProcessId id = bench.spawn(client(1), process(connection_key(1)));
    bench.tell(MainExited{id, {How::lost, 0, 0, false}});
    bench.tree_has(id, 0);
    CHECK_FALSE(bench.at(id).exitcode());
    CHECK(bench.core.fate(bench.at(id)) == "ended unseen: its exit code is lost");
}

TEST_CASE("a process cannot be started twice, whatever became of it") {
    Bench bench;
    const Caller caller = client(1);
    const ProcessId id = bench.create(caller, process(connection_key(1)));
    const auto refused = [&] {
        const auto outcome = bench.start(caller, id);
        REQUIRE_FALSE(outcome);
        CHECK(outcome.refusal().kind == RefusalKind::already_started);
        CHECK(outcome.refusal().message == "cannot start a process twice");
    };
    REQUIRE(bench.start(caller, id));
    refused();  // starting
    bench.runs(id);
    refused();  // running
    REQUIRE(bench.terminate(id));
    refused();  // ending
    bench.dies(id, SIGTERM);
    refused();  // exited
    CHECK(bench.all<Launch>().size() == 1);
}

TEST_CASE("a failed spawn leaves no record") {
    Bench bench;
    const ProcessId id = *bench.try_spawn(client(1), process(connection_key(1), false, "foo"));
    bench.fails(id);
    REQUIRE(bench.starts.size() == 1);
    CHECK(bench.starts[0].failed);
    CHECK_FALSE(bench.known(id));
    CHECK(bench.core.named("foo") == nullptr);
    CHECK(bench.events_of(id) == Types{EventType::created, EventType::closed});
    CHECK_FALSE(bench.core.next_deadline());
}

TEST_CASE("a failed spawn pushes nobody else's record out") {
    Config config = Bench::default_config();
    config.retained = 2;
    Bench bench(config);
    const ProcessId first = bench.spawn(client(1), process(procd_key()));
    const ProcessId second = bench.spawn(client(1), process(procd_key()));
    bench.ends(first);
    bench.ends(second);
    bench.fails(*bench.try_spawn(client(1), process(procd_key())));
    CHECK(bench.known(first));
    CHECK(bench.known(second));
}

TEST_CASE("a failed start leaves the process exited, with 127 where nothing was found and 126 else") {
    struct Example {
        const char* stage;
        int error;
        int code;
    };
    for (const Example& example :
         {Example{"exec", ENOENT, 127}, Example{"exec", ENOTDIR, 127}, Example{"exec", EACCES, 126},
          Example{"chdir", ENOENT, 126}, Example{"clone", EAGAIN, 126}}) {
        CAPTURE(example.stage);
        CAPTURE(example.error);
        Bench bench;
        const ProcessId id = bench.create(client(1), process(connection_key(1)));
        REQUIRE(bench.start(client(1), id));
        bench.tell(LaunchFailed{id, {example.stage, example.error, false}});
        CHECK(bench.at(id).state() == State::exited);
        CHECK(bench.at(id).exitcode() == example.code);
        CHECK(bench.at(id).ending->exit.how == How::exec_failed);
        CHECK(bench.events_of(id) == Types{EventType::created, EventType::exited});
        CHECK(bench.starts[0].failed);
        CHECK(bench.core.fate(bench.at(id)) == "could not be started");
    }
}

TEST_CASE("news of a process that nobody knows, or that come twice, change nothing") {
    Bench bench;
    const ProcessId id = bench.spawn(client(1), process(connection_key(1)));
    bench.runs(id);
    bench.fails(id);
    bench.tree_has(id, 0);  // its main lives
    CHECK(bench.at(id).state() == State::running);
    bench.ends(id, 1);
    bench.ends(id, 2);
    CHECK(bench.at(id).exitcode() == 1);
    CHECK(bench.events_of(id) == Types{EventType::created, EventType::started, EventType::exited});
    for (const ProcessId stranger : {ProcessId{99}, ProcessId{-1}}) {
        bench.runs(stranger);
        bench.fails(stranger);
        bench.ends(stranger);
    }
    CHECK(bench.core.processes().size() == 1);
}

TEST_CASE("what a process leaves behind is counted, reported and ended") {
    Bench bench;
    const ProcessId id = bench.spawn(client(1), process(connection_key(1), false, "foo"));
    bench.main_exits(id, 0);
    bench.tree_has(id, 3);
    bench.pass(199ms);
    CHECK(bench.sent(id, SIGTERM) == 0);
    bench.pass(1ms);
    CHECK(bench.count_for<CountTree>(id) == 2);
    bench.tree_has(id, 3);
    CHECK(bench.sent(id, SIGTERM) == 1);
    CHECK(bench.at(id).ending->leftovers == 3);
    REQUIRE(bench.all<Report>().size() == 1);
    CHECK(bench.all<Report>()[0].text == "foo (id 1) ended and left 3 behind, which are ended");
    bench.pass(10s);
    CHECK(bench.count_for<KillTree>(id) >= 1);
    bench.tree_has(id, 0);
    CHECK(bench.at(id).exitcode() == 0);
    CHECK(bench.at(id).ending->cause == Cause::self);
    CHECK(bench.core.fate(bench.at(id)) == "ended: by itself; 3 left behind, ended");
    CHECK(bench.events_of(id) ==
          Types{EventType::created, EventType::started, EventType::stopping, EventType::exited});
}

TEST_CASE("what goes by itself within the 200 ms is no leftover") {
    Bench bench;
    const ProcessId id = bench.spawn(client(1), process(connection_key(1)));
    bench.main_exits(id);
    bench.tree_has(id, 2);
    bench.pass(100ms);
    bench.tree_has(id, 0);
    CHECK(bench.at(id).exited());
    CHECK(bench.at(id).ending->leftovers == 0);
    CHECK(bench.all<Report>().empty());
}

TEST_CASE("leftovers that are kept go when the owner does") {
    for (const bool daemon : {false, true}) {
        CAPTURE(daemon);
        Bench bench;
        Creation creation = process(connection_key(1), daemon);
        creation.keep_leftovers = true;
        const ProcessId id = bench.spawn(client(1), creation);
        bench.main_exits(id);
        bench.tree_has(id, 1);
        bench.pass(200ms);
        bench.tree_has(id, 1);
        CHECK(bench.phase(id) == Phase::kept);
        bench.pass(1h);
        CHECK(bench.sent(id, SIGTERM) == 0);
        bench.closes(1);
        CHECK(bench.sent(id, SIGTERM) == 1);
        bench.tree_has(id, 0);
        CHECK(bench.at(id).exited());
        CHECK(bench.at(id).ending->leftovers == 1);
    }
}

TEST_CASE("nothing is kept for an owner that has ended politely, nor by a procd that stops") {
    for (const bool stopping : {false, true}) {
        CAPTURE(stopping);
        Bench bench;
        const SessionId session = bench.session(client(1));
        Creation creation = process(session_key(session), false);
        creation.keep_leftovers = true;
        const ProcessId id = bench.spawn(client(1), creation);
        if (stopping)
            REQUIRE(bench.core.shutdown(true, false, bench.now, bench.actions));
        else
            bench.end_session(client(1), session);
        bench.main_exits(id);
        bench.tree_has(id, 1);
        bench.pass(200ms);
        bench.tree_has(id, 1);
        CHECK(bench.phase(id) == Phase::ending);  // else whoever waits for it waits for ever
        CHECK(bench.sent(id, SIGTERM) == 1);
    }
}
