// How the sweep tells whose a process is.
#include <algorithm>
#include <signal.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "daemon/sys/procfs.hpp"
#include "tests/sys/tree_fixture.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

TEST_CASE("by parentage, as long as it leads to the main") {
    Trees trees("subreaper");
    trees.start_tree(1, {"sh", "-c", "env -i setsid " + helper("linger") + " & wait"}, false);
    const pid_t child = trees.line_pid();
    CHECK(trees->count_rest(1) == 1);
    CHECK(*trees->tree_of(child) == 1);
}

TEST_CASE("by the main's session, also after the main's end") {
    Trees trees("subreaper");
    Child& main = trees.start_tree(1, {"sh", "-c", "env -i " + helper("linger") + " ignore & wait"}, false);
    const pid_t child = trees.line_pid();
    Child& other = trees.start_tree(2, {helper("linger")}, false);  // so that there are two candidates
    trees.line();
    trees.end_main(1, main);
    CHECK(trees->count_rest(1) == 1);
    CHECK(*trees->tree_of(child) == 1);
    CHECK(trees->count_rest(2) == 0);
    CHECK(is_running(other.pid()));
    trees->kill_tree(1);
    CHECK(trees.comes_to(1, 0));
}

TEST_CASE("by the environment, where parentage and session are lost") {
    Trees trees("subreaper");
    Child& main = trees.start_tree(1, {helper("daemonise"), "exit"});
    const pid_t grandchild = trees.line_pid();
    trees.start_tree(2, {helper("linger")});
    trees.line();
    main.wait();
    trees->main_reaped(1);
    CHECK(trees->count_rest(1) == 1);
    CHECK(*trees->tree_of(grandchild) == 1);
    trees->kill_tree(1);
    CHECK(trees.comes_to(1, 0));
}

TEST_CASE("the environment of another procd's process is no proof") {
    Trees trees("subreaper");
    trees.start_tree(1, {helper("linger")});
    trees.start_tree(2, {helper("linger")});
    trees.line();
    trees.line();
    Pipe pipe;
    LaunchPlan plan = plan_for({helper("daemonise"), "exit"});
    plan.env = {"PROCD_ID=1", "PROCD_SOCKET=/somewhere/else"};
    plan.stdio[1] = pipe.write_end.get();
    start(plan).wait();
    const pid_t stray = std::stoi(read_line(pipe.read_end.get()));
    CHECK(trees->count_rest(1) == 0);
    CHECK(trees->strays() == std::vector<pid_t>{stray});
}

TEST_CASE("who was seen once is remembered, with what it starts") {
    Trees trees("subreaper");
    // A grandchild in a session of its own with nothing in its environment, while its parent lives.
    Child& main = trees.start_tree(
        1, {"sh", "-c", "env -i setsid sh -c 'echo $$; " + helper("linger") + " ignore & wait' & wait"},
        false);
    trees.line();
    const pid_t below = trees.line_pid();
    trees.start_tree(2, {helper("linger")}, false);
    trees.line();
    CHECK(trees->count_rest(1) == 2);
    trees.end_main(1, main);
    CHECK(trees->count_rest(1) == 2);
    CHECK(*trees->tree_of(below) == 1);
    CHECK(trees->strays().empty());
    trees->kill_tree(1);
    CHECK(trees.comes_to(1, 0));
    CHECK_FALSE(is_running(below));
}

TEST_CASE("an orphan that only one tree can have left is that tree's") {
    Trees trees("subreaper");
    Child& main = trees.start_tree(1, {helper("daemonise"), "clean", "exit"}, false);
    const pid_t orphan = trees.line_pid();
    main.wait();
    trees->main_reaped(1);
    CHECK(trees->count_rest(1) == 1);
    // Started later: not a candidate; and what is attributed stays so.
    trees.start_tree(2, {helper("linger")}, false);
    trees.line();
    CHECK(trees->count_rest(1) == 1);
    CHECK(trees->count_rest(2) == 0);
    CHECK(*trees->tree_of(orphan) == 1);
    trees->kill_tree(1);
    CHECK(trees.comes_to(1, 0));
}

TEST_CASE("an orphan that two trees can have left is a stray") {
    Trees trees("subreaper");
    trees.start_tree(1, {helper("linger")}, false);
    trees.line();
    Child& main = trees.start_tree(2, {helper("daemonise"), "clean", "exit"}, false);
    const pid_t orphan = trees.line_pid();
    main.wait();
    trees->main_reaped(2);
    CHECK(trees->count_rest(2) == 0);
    CHECK(trees->strays() == std::vector<pid_t>{orphan});
    CHECK(trees->kill_strays() == 1);
}

TEST_CASE("what it can promise is said in plain words") {
    Trees trees("subreaper");
    CHECK(trees->kind() == "subreaper");
    CHECK(trees->description().find("escape") != std::string::npos);
    CHECK_FALSE(trees->open_group(5, "x")->get() >= 0);
    CHECK_FALSE(trees->empty_watch(5));
}

TEST_CASE("an environment speaks for trees of its own user alone") {
    if (!is_root()) return;
    for (const char* kind : {"subreaper", "cgroup"}) {
        CAPTURE(kind);
        Trees trees(kind);
        if (!trees) continue;
        // So that a stray can be of either.
        for (const TreeId id : {1, 2}) {
            trees.start_tree(id, {helper("linger")});
            trees.line();
        }
        for (const uid_t uid : {uid_t{65534}, uid_t{0}}) {
            Pipe pipe;
            LaunchPlan plan = plan_for({"sh", "-c", "setsid sleep 1000 >/dev/null & echo $!"});
            plan.env = {"PATH=/usr/bin:/bin", "PROCD_ID=1", "PROCD_SOCKET=" + trees.socket()};
            plan.become = Credentials{uid, uid, {}};
            plan.stdio[1] = pipe.write_end.get();
            start(plan).wait();
            const pid_t pid = std::stoi(read_line(pipe.read_end.get()));
            CAPTURE(uid);
            CHECK(eventually([&] { return trees->count_rest(1) == (uid == 0 ? 1 : 0); }));
            const auto strays = trees->strays();
            CHECK((std::find(strays.begin(), strays.end(), pid) != strays.end()) == (uid != 0));
        }
        trees->kill_tree(1);
    }
}

TEST_CASE("who may not be signalled by kill(2) is passed over, and ended all the same") {
    if (!is_root()) return;
    for (const char* kind : {"subreaper", "cgroup"}) {
        CAPTURE(kind);
        Trees trees(kind);
        if (!trees) continue;
        Child& main = trees.start_tree(
            1, {"sh", "-c", "setpriv --reuid=65534 --clear-groups sleep 1000 & echo $!; exec sleep 1000"});
        const pid_t other = trees.line_pid();
        REQUIRE(eventually([&] { return uids_of(other)->real == 65534; }));
        CHECK(*may_signal(other, 65534));
        CHECK_FALSE(*may_signal(main.pid(), 65534));
        trees->signal_tree(1, SIGTERM, true, false, uid_t{65534});
        CHECK(is_running(main.pid()));
        trees->signal_tree(1, SIGTERM, false, false, uid_t{65534});
        CHECK(eventually([&] { return !is_running(other); }));
        CHECK(is_running(main.pid()));
        trees->signal_tree(1, SIGTERM, false, false);
        CHECK(eventually([&] { return has_exited(main.pidfd()); }));
    }
}
