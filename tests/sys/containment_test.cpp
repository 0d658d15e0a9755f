// What both containments promise.
#include <sys/prctl.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "daemon/sys/procfs.hpp"
#include "tests/sys/tree_fixture.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

namespace {

const std::vector<std::string> k_kinds = {"cgroup", "subreaper"};

template <class Test>
void for_each_kind(Test test) {
    for (const std::string& kind : k_kinds) {
        INFO("containment: ", kind);
        Trees trees(kind);
        if (trees) test(trees);
    }
}

}  // namespace

TEST_CASE("a tree of one process is empty besides its main, and after its end") {
    for_each_kind([](Trees& trees) {
        Child& main = trees.start_tree(7, {helper("linger")});
        CHECK(trees.line_pid() == main.pid());
        CHECK(trees->count_rest(7) == 0);
        CHECK(*trees->tree_of(main.pid()) == 7);
        CHECK_FALSE(trees->tree_of(::getpid())->has_value());
        CHECK_FALSE(trees->tree_of(1)->has_value());
        trees->signal_tree(7, SIGTERM, false);
        CHECK(main.wait().signal == SIGTERM);
        trees->main_reaped(7);
        CHECK(trees->count_rest(7) == 0);
    });
}

TEST_CASE("a double-forked, setsid'd grandchild that ignores SIGTERM is still its tree's, and is ended") {
    for_each_kind([](Trees& trees) {
        for (const bool leave : {false, true}) {
            const TreeId id = leave ? 2 : 1;
            std::vector<std::string> command = {helper("daemonise")};
            if (leave) command.push_back("exit");
            Child& main = trees.start_tree(id, command);
            const pid_t grandchild = trees.line_pid();
            CHECK(trees.comes_to(id, 1));
            CHECK(*trees->tree_of(grandchild) == id);
            if (leave) {
                CHECK(main.wait().code == 0);
                trees->main_reaped(id);
            } else {
                trees->signal_tree(id, SIGTERM, false);
                CHECK(main.wait().signal == SIGTERM);
                trees->main_reaped(id);
            }
            CHECK(trees->count_rest(id) == 1);
            CHECK(is_running(grandchild));
            trees->kill_tree(id);
            CHECK(trees.comes_to(id, 0));
            CHECK_FALSE(is_running(grandchild));
        }
    });
}

TEST_CASE("signals reach every member, or the main alone") {
    for_each_kind([](Trees& trees) {
        Child& main = trees.start_tree(
            1, {"sh", "-c", helper("linger") + " & " + helper("linger") + " & wait; wait; echo done"});
        const pid_t one = trees.line_pid();
        const pid_t other = trees.line_pid();
        CHECK(trees->count_rest(1) == 2);
        CHECK(*trees->tree_of(one) == 1);
        CHECK(*trees->tree_of(other) == 1);
        trees->signal_tree(1, SIGCONT, true);
        CHECK(is_running(one));
        trees->signal_tree(1, SIGTERM, true);
        CHECK(main.wait().signal == SIGTERM);
        trees->main_reaped(1);
        CHECK(trees->count_rest(1) == 2);
        trees->signal_tree(1, SIGTERM, false);
        CHECK(trees.comes_to(1, 0));
        CHECK_FALSE(is_running(one));
        CHECK_FALSE(is_running(other));
    });
}

TEST_CASE("two trees are never taken for each other") {
    for_each_kind([](Trees& trees) {
        trees.start_tree(1, {helper("daemonise")});
        const pid_t first = trees.line_pid();
        trees.start_tree(2, {helper("daemonise")});
        const pid_t second = trees.line_pid();
        CHECK(trees.comes_to(1, 1));
        CHECK(trees.comes_to(2, 1));
        CHECK(*trees->tree_of(first) == 1);
        CHECK(*trees->tree_of(second) == 2);
        trees->kill_tree(1);
        CHECK(trees.comes_to(1, 0));
        CHECK(is_running(second));
        CHECK(trees->count_rest(2) == 1);
        CHECK(trees->strays().empty());
    });
}

TEST_CASE("a chain of processes that fork and end is caught") {
    for_each_kind([](Trees& trees) {
        Child& main = trees.start_tree(1, {helper("forks"), "20000"});
        CHECK(main.wait().code == 0);
        trees->main_reaped(1);
        CHECK(trees->count_rest(1) > 0);
        CHECK(eventually([&] {
            trees->kill_tree(1);
            trees.reap_adopted_but_mains();
            return trees->count_rest(1) == 0;
        }));
    });
}

TEST_CASE("a zombie is nobody") {
    for_each_kind([](Trees& trees) {
        // The shell replaces itself with something that never reaps the child it has.
        Child& main = trees.start_tree(1, {"sh", "-c", "true & echo $!; exec " + helper("linger")});
        const pid_t zombie = trees.line_pid();
        CHECK(trees.line_pid() == main.pid());
        CHECK(eventually([&] { return !is_running(zombie); }));
        CHECK(trees->count_rest(1) == 0);
    });
}

TEST_CASE("what is unknown is answered, not feared") {
    for_each_kind([](Trees& trees) {
        trees->born(99, {});
        trees->main_reaped(99);
        trees->signal_tree(99, SIGTERM, false);
        trees->kill_tree(99);
        CHECK(trees->count_rest(99) == 0);
        CHECK_FALSE(trees->empty_watch(99));
        trees->remove(99);
        CHECK_FALSE(trees->tree_of(-1)->has_value());
    });
}

TEST_CASE("an orphan of no tree is a stray, listed and killed") {
    for_each_kind([](Trees& trees) {
        // Not a tree's: started beside them, as somebody who joined procd's family.
        Pipe pipe;
        LaunchPlan plan = plan_for({helper("daemonise"), "exit"});
        plan.stdio[1] = pipe.write_end.get();
        start(plan).wait();
        const pid_t stray = std::stoi(read_line(pipe.read_end.get()));
        CHECK(trees->strays() == std::vector<pid_t>{stray});
        CHECK_FALSE(trees->tree_of(stray)->has_value());
        CHECK(trees->kill_strays() == 1);
        CHECK(eventually([&] {
            reap_adopted();
            return trees->strays().empty();
        }));
    });
}

TEST_CASE("many trees end at once") {
    for_each_kind([](Trees& trees) {
        constexpr TreeId count = 100;
        std::vector<Child*> mains;
        for (TreeId id = 1; id <= count; ++id) mains.push_back(&trees.start_tree(id, {helper("linger")}));
        for (TreeId id = 1; id <= count; ++id) trees.line();
        for (TreeId id = 1; id <= count; ++id) trees->kill_tree(id);
        for (TreeId id = 1; id <= count; ++id) {
            mains[static_cast<std::size_t>(id - 1)]->wait();
            trees->main_reaped(id);
            CHECK(trees.comes_to(id, 0));
            trees->remove(id);
        }
    });
}

TEST_CASE("a containment of no known kind is refused") {
    CHECK_FALSE(make_containment("jail", {}));
}
