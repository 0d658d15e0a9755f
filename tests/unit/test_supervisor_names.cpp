#include <csignal>

#include <doctest/doctest.h>

#include "tests/unit/bench.hpp"

using namespace procd::core;

namespace {

std::string name_of(Bench& bench, const Caller& caller, const OwnerKey& owner, std::string name = "") {
    return bench.at(bench.spawn(caller, process(owner, std::nullopt, std::move(name)))).name;
}

}  // namespace

TEST_CASE("default names count per owner from 1, and every construction counts") {
    Bench bench;
    CHECK(name_of(bench, client(1), connection_key(1), "foo_process") == "foo_process");
    CHECK(name_of(bench, client(1), connection_key(1)) == "Process-2");
    bench.fails(*bench.try_spawn(client(1), process(connection_key(1))));
    bench.create(client(1), process(connection_key(1)));
    CHECK(name_of(bench, client(1), connection_key(1)) == "Process-5");

    CHECK(name_of(bench, client(2), connection_key(2)) == "Process-1");
    const SessionId session = bench.session(client(1));
    CHECK(name_of(bench, client(2), session_key(session)) == "Process-1");
    CHECK(name_of(bench, client(1), session_key(session)) == "Process-2");
    CHECK(name_of(bench, client(1), procd_key()) == "Process-1");
    CHECK(name_of(bench, client(1), pid_key(4)) == "Process-1");
    CHECK(name_of(bench, client(1), pid_key(5)) == "Process-1");
}

TEST_CASE("a refused request counts for nothing") {
    Bench bench;
    Creation creation = process(connection_key(1), std::nullopt, "db");
    creation.unique = true;
    bench.spawn(client(1), creation);
    CHECK_FALSE(bench.try_spawn(client(1), creation));
    CHECK(name_of(bench, client(1), connection_key(1)) == "Process-2");
}

TEST_CASE("inside a managed process the counter is its own and the name nests") {
    Bench bench;
    const ProcessId outer = bench.spawn(client(1), process(connection_key(1)));
    CHECK(name_of(bench, inside(outer, 2), process_key(outer)) == "Process-1:1");
    CHECK(name_of(bench, inside(outer, 3), process_key(outer)) == "Process-1:2");
    // Whoever the owner is, the enclosing process gives the name.
    CHECK(name_of(bench, inside(outer, 3), connection_key(3)) == "Process-1:3");
    const ProcessId inner = bench.spawn(inside(outer, 2), process(procd_key()));
    CHECK(bench.at(inner).name == "Process-1:4");
    CHECK(name_of(bench, inside(inner, 4), process_key(inner)) == "Process-1:4:1");
    // A process with a name of its own passes its number on.
    const ProcessId named = bench.spawn(client(1), process(connection_key(1), std::nullopt, "db"));
    CHECK(name_of(bench, inside(named, 5), process_key(named)) == "Process-2:1");
}

TEST_CASE("five processes may have one name, and a name may be changed at any time") {
    Bench bench;
    const Caller caller = client(1);
    for (int i = 0; i < 5; ++i) bench.spawn(caller, process(connection_key(1), std::nullopt, "Python"));
    CHECK(bench.core.named("Python")->size() == 5);

    const ProcessId id = bench.create(caller, process(connection_key(1)));
    REQUIRE(bench.core.rename(id, "initial"));
    REQUIRE(bench.start(caller, id));
    bench.runs(id);
    REQUIRE(bench.core.rename(id, "running"));
    bench.ends(id);
    REQUIRE(bench.core.rename(id, "Python"));
    CHECK(bench.core.named("running") == nullptr);
    CHECK(bench.core.named("Python")->size() == 6);
    CHECK(bench.events_of(id).back() == EventType::changed);
    bench.forget_the_past();
    REQUIRE(bench.core.rename(id, "Python"));
    CHECK(bench.changes.empty());
}

TEST_CASE("unique refuses while a live process of the same owner has the name") {
    Bench bench;
    Creation unique = process(connection_key(1), std::nullopt, "db");
    unique.unique = true;
    const ProcessId plain = bench.spawn(client(1), process(connection_key(1), std::nullopt, "db"));
    const auto refused = bench.try_spawn(client(1), unique);
    REQUIRE_FALSE(refused);
    CHECK(refused.refusal().kind == RefusalKind::name_in_use);

    Creation elsewhere = unique;
    elsewhere.owner.key = connection_key(2);
    CHECK(bench.try_spawn(client(2), elsewhere));

    bench.main_exits(plain);  // its tree still lives
    CHECK_FALSE(bench.try_spawn(client(1), unique));
    bench.tree_has(plain, 0);
    const ProcessId first = bench.create(client(1), unique);
    const ProcessId second = bench.create(client(1), unique);  // neither is live
    CHECK(bench.start(client(1), first));
    const auto late = bench.start(client(1), second);
    REQUIRE_FALSE(late);
    CHECK(late.refusal().kind == RefusalKind::name_in_use);
}

TEST_CASE("the daemon flag is the request's, else that of the enclosing process, else false") {
    Bench bench;
    const ProcessId daemon = bench.spawn(client(1), process(connection_key(1), true));
    const ProcessId other = bench.spawn(client(1), process(connection_key(1)));
    CHECK_FALSE(bench.at(other).daemon);
    const auto flag = [&](const Caller& caller, std::optional<bool> asked) {
        return bench.at(bench.spawn(caller, process(procd_key(), asked))).daemon;
    };
    CHECK(flag(inside(daemon), std::nullopt));
    CHECK(flag(inside(daemon), true));
    CHECK_FALSE(flag(inside(other), std::nullopt));
    CHECK(flag(inside(other), true));
    CHECK_FALSE(flag(inside(other), false));
}

TEST_CASE("in a daemonic process an explicit non-daemon is refused, however it is asked for") {
    Bench bench;
    const ProcessId daemon = bench.spawn(client(1), process(connection_key(1), true));
    const auto check = [](const auto& outcome) {
        REQUIRE_FALSE(outcome);
        CHECK(outcome.refusal().kind == RefusalKind::daemonic_no_children);
        CHECK(outcome.refusal().message == "daemonic processes are not allowed to have children");
    };
    check(bench.try_spawn(inside(daemon), process(procd_key(), false)));
    check(bench.core.create(inside(daemon), process(procd_key(), false), bench.now));
    const ProcessId child = bench.create(inside(daemon), process(process_key(daemon)));
    check(bench.core.set_daemon(inside(daemon), child, false));
    const ProcessId foreign = bench.create(client(2), process(procd_key(), false));
    check(bench.start(inside(daemon), foreign));
    CHECK(bench.core.processes().size() == 3);
}

TEST_CASE("the daemon flag is settable before start only") {
    Bench bench;
    const ProcessId id = bench.create(client(1), process(connection_key(1)));
    REQUIRE(bench.core.set_daemon(client(1), id, true));
    CHECK(bench.at(id).daemon);
    CHECK(bench.events_of(id).back() == EventType::changed);
    REQUIRE(bench.start(client(1), id));
    for (const bool value : {true, false}) {
        const auto refused = bench.core.set_daemon(client(1), id, value);
        REQUIRE_FALSE(refused);
        CHECK(refused.refusal().kind == RefusalKind::already_started);
        CHECK(refused.refusal().message == "process has already started");
    }
}
