#include <doctest/doctest.h>

#include "tests/unit/bench.hpp"

using namespace procd::core;
using Ids = std::vector<ProcessId>;

namespace {

Selector by_name(std::string name, std::optional<OwnerKey> scope = std::nullopt) {
    return {std::nullopt, std::move(name), scope};
}
Selector by_id(ProcessId id) {
    return {id, "", std::nullopt};
}

struct Selecting {
    Bench bench;

    ProcessId spawn(const OwnerKey& owner, const std::string& name) {
        return bench.spawn(client(owner.kind == OwnerKind::connection ? owner.number : 90),
                           process(owner, false, name));
    }
    // The id that is found, or 0.
    ProcessId one(const Caller& caller, const Selector& selector, Want want = Want::any) {
        const auto found = resolve(bench.core, caller, selector, want);
        return found ? *found : 0;
    }
    Ids many(const Caller& caller, const std::vector<Selector>& selectors, Want want = Want::any) {
        const auto found = resolve_all(bench.core, caller, selectors, want);
        return found ? *found : Ids{};
    }
};

}  // namespace

TEST_CASE_FIXTURE(Selecting, "an id is exact, a name is looked up, and what is not there is said") {
    const ProcessId id = spawn(connection_key(1), "db");
    CHECK(one(client(1), by_id(id)) == id);
    CHECK(one(client(2), by_name("db")) == id);
    const auto missing = resolve(bench.core, client(1), by_name("web"));
    REQUIRE_FALSE(missing);
    CHECK(missing.refusal().kind == RefusalKind::no_such_process);
    CHECK(missing.refusal().message == "no such process: web");
    CHECK(missing.refusal().missing.size() == 1);
    CHECK(one(client(1), by_id(99)) == 0);
    CHECK(one(client(1), by_name("")) == 0);
}

TEST_CASE_FIXTURE(Selecting, "a name is looked up first among the caller's own") {
    const ProcessId first = spawn(connection_key(1), "Process-1");
    const ProcessId second = spawn(connection_key(2), "Process-1");
    CHECK(one(client(1), by_name("Process-1")) == first);
    CHECK(one(client(2), by_name("Process-1")) == second);
    CHECK(one(client(3), by_name("Process-1")) == 0);  // ambiguous

    const SessionId session = bench.session(client(4));
    const ProcessId third = spawn(session_key(session), "Process-1");
    Caller holder = client(4);
    holder.sessions = {session};
    CHECK(one(holder, by_name("Process-1")) == third);

    const ProcessId fourth = spawn(process_key(first), "Process-1");
    CHECK(one(inside(first), by_name("Process-1")) == fourth);
    CHECK(many(client(3), {by_name("Process-1")}) == Ids{first, second, third, fourth});
}

TEST_CASE_FIXTURE(Selecting, "an own process that has ended comes before a stranger that lives") {
    const ProcessId own = spawn(connection_key(1), "db");
    spawn(connection_key(2), "db");
    bench.ends(own);
    CHECK(one(client(1), by_name("db")) == own);
}

TEST_CASE_FIXTURE(Selecting, "a selector that names an owner looks there alone") {
    const ProcessId first = spawn(connection_key(1), "db");
    const ProcessId second = spawn(procd_key(), "db");
    CHECK(one(client(1), by_name("db", procd_key())) == second);
    CHECK(one(client(2), by_name("db", connection_key(1))) == first);
    CHECK(one(client(1), by_name("db", pid_key(3))) == 0);
}

TEST_CASE_FIXTURE(Selecting, "the live ones count, and if none lives the newest") {
    const ProcessId first = spawn(procd_key(), "db");
    const ProcessId second = spawn(procd_key(), "db");
    const ProcessId third = spawn(procd_key(), "db");
    const auto ambiguous = resolve(bench.core, client(1), by_name("db"));
    REQUIRE_FALSE(ambiguous);
    CHECK(ambiguous.refusal().kind == RefusalKind::ambiguous);
    CHECK(ambiguous.refusal().candidates == Ids{first, second, third});
    bench.ends(first);
    bench.ends(third);
    CHECK(one(client(1), by_name("db")) == second);
    bench.main_exits(second);
    CHECK(one(client(1), by_name("db")) == second);  // its tree lives
    bench.tree_has(second, 0);
    CHECK(one(client(1), by_name("db")) == third);
    CHECK(many(client(1), {by_name("db")}) == Ids{third});
    const ProcessId initial = bench.create(client(1), process(procd_key(), false, "db"));
    CHECK(one(client(1), by_name("db")) == initial);
}

TEST_CASE_FIXTURE(Selecting, "start takes the newest that is not started, close all that have ended") {
    const ProcessId gone = spawn(procd_key(), "db"), gone_too = spawn(procd_key(), "db");
    bench.ends(gone);
    bench.ends(gone_too);
    const ProcessId live = spawn(procd_key(), "db");
    CHECK(one(client(1), by_name("db"), Want::initial) == live);
    bench.create(client(1), process(procd_key(), false, "db"));
    const ProcessId newest = bench.create(client(1), process(procd_key(), false, "db"));
    CHECK(one(client(1), by_name("db"), Want::initial) == newest);
    CHECK(one(client(1), by_name("db")) == live);
    CHECK(many(client(1), {by_name("db")}, Want::ended) == Ids{gone, gone_too});
    bench.forget_the_past();
    REQUIRE(bench.core.close({gone, gone_too}, bench.actions));
    CHECK(many(client(1), {by_name("db")}, Want::ended) == Ids{live});
}

TEST_CASE_FIXTURE(Selecting, "one unknown fails the whole, and all that are missing are named") {
    const ProcessId id = spawn(procd_key(), "db");
    const auto refused =
        resolve_all(bench.core, client(1), {by_id(id), by_name("web"), by_name("db"), by_id(77)});
    REQUIRE_FALSE(refused);
    CHECK(refused.refusal().kind == RefusalKind::no_such_process);
    REQUIRE(refused.refusal().missing.size() == 2);
    CHECK(std::get<std::string>(refused.refusal().missing[0]) == "web");
    CHECK(std::get<ProcessId>(refused.refusal().missing[1]) == 77);
    CHECK(refused.refusal().message == "no such process: web 77");
}

TEST_CASE_FIXTURE(Selecting, "no id is taken twice, and the order is the caller's") {
    const ProcessId first = spawn(procd_key(), "db"), second = spawn(procd_key(), "db"),
                    third = spawn(procd_key(), "x");
    CHECK(many(client(1), {by_name("x"), by_id(second), by_name("db"), by_id(first)}) ==
          Ids{third, second, first});
    CHECK(many(client(1), {}).empty());
}

TEST_CASE_FIXTURE(Selecting, "other users' processes are not there, but for root") {
    const ProcessId mine = spawn(procd_key(), "db");
    CHECK(one(client(1, k_other), by_id(mine)) == 0);
    CHECK(one(client(1, k_other), by_name("db")) == 0);
    CHECK(many(client(1, k_other), {by_name("db")}).empty());
    Caller root = client(1, 0);
    root.sees_all = true;
    CHECK(one(root, by_name("db")) == mine);
    CHECK(visible(root, k_other));
    CHECK_FALSE(visible(client(1, k_other), k_user));
}
