// What only the cgroup containment does, and the files below it.
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "daemon/sys/cgroupfs.hpp"
#include "daemon/sys/names.hpp"
#include "daemon/sys/procfs.hpp"
#include "tests/sys/tree_fixture.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

namespace {

void move_to(pid_t pid, const std::string& group) {
    const auto done = [&] {
        std::FILE* const procs = std::fopen((group + "/cgroup.procs").c_str(), "w");
        if (procs == nullptr) return false;
        std::fprintf(procs, "%d\n", static_cast<int>(pid));
        return std::fclose(procs) == 0;
    }();
    CHECK(done);
}

constexpr const char* k_plain_mount =
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,nosuid shared:9 master:2 - cgroup2 cgroup2 rw\n";

}  // namespace

TEST_CASE("procd's own group is found through the mount, wherever and whatever part of it is mounted") {
    CHECK(find_own_group(k_plain_mount, "/")->directory == "/sys/fs/cgroup/unified");
    const auto service = find_own_group(k_plain_mount, "/system.slice/procd.service");
    CHECK(service->directory == "/sys/fs/cgroup/unified/system.slice/procd.service");
    CHECK(service->path == "/system.slice/procd.service");

    constexpr const char* part = "41 31 0:38 /docker/12 /sys/fs/cg\\040roup rw - cgroup2 cgroup2 rw\n";
    CHECK(find_own_group(part, "/docker/12/a")->directory == "/sys/fs/cg roup/a");
    CHECK(find_own_group(part, "/docker/12")->directory == "/sys/fs/cg roup");
    CHECK_FALSE(find_own_group(part, "/docker/123"));
    CHECK_FALSE(find_own_group("31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n", "/"));
    CHECK_FALSE(find_own_group("", "/"));

    CHECK(place_of_directory(part, "/sys/fs/cg roup/b")->path == "/docker/12/b");
    CHECK(place_of_directory(k_plain_mount, "/sys/fs/cgroup/unified")->path == "/");
    CHECK_FALSE(place_of_directory(k_plain_mount, "/sys/fs/cgroup"));
}

TEST_CASE("a group that somebody names begins, unless it is absolute, at procd's own") {
    const auto own = find_own_group();
    if (!own) return;  // there is no hierarchy to name a group in
    CHECK(find_group(".")->directory == own->directory);
    CHECK(find_group(".")->path == own->path);
    const TempGroup group;
    if (!group.path().empty()) {
        CHECK(find_group(group.path())->directory == group.path());
        CHECK(find_group(group.path() + "/../" + group.path().substr(group.path().rfind('/') + 1))->path ==
              find_group(group.path())->path);
        // From any depth.
        std::string up;
        for (const char c : own->path)
            if (c == '/') up += "../";
        if (own->path == "/") up.clear();
        const auto found = find_group(up + group.path().substr(group.path().rfind('/') + 1));
        REQUIRE(found);
        CHECK(found->directory == group.path());
        CHECK(found->path == place_of_directory(group.path())->path);
    }
    const auto missing = find_group("../no-such-group");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().error == ENOENT);
    CHECK(missing.error().message().find("no-such-group") != std::string::npos);
    CHECK_FALSE(find_group("/tmp"));
}

TEST_CASE("a group's name can be read, and is always one component") {
    CHECK(group_name(7, "web") == "7-web");
    CHECK(group_name(7, "a b/c") == "7-a\\x20b\\x2fc");
    CHECK(group_name(7, "..") == "7-\\x2e.");
    CHECK(group_name(7, "ü") == "7-\\xc3\\xbc");
    CHECK(group_name(123456789, std::string(255, '/')).size() <= 200);
    CHECK(group_name(1, std::string(255, '/')).substr(194) == "\\x2f");
    CHECK(id_of_group_name("7-web") == 7);
    CHECK(id_of_group_name("7") == -1);
    CHECK(id_of_group_name("web") == -1);
    CHECK(is_within("/a/b", "/a"));
    CHECK(is_within("/a", "/a"));
    CHECK_FALSE(is_within("/ab", "/a"));
    CHECK(is_within("/ab", "/"));
}

TEST_CASE(
    "every tree has a group with a readable name, below one of the instance, and nothing is left in the "
    "end") {
    std::string instance;
    {
        Trees trees("cgroup");
        if (!trees) return;
        instance = trees->place();
        CHECK(trees->kind() == "cgroup");
        CHECK(trees->description().find(instance) != std::string::npos);
        Child& main = trees.start_tree(7, {helper("linger")});
        CHECK(processes_in(instance + "/7-tree") == std::vector<pid_t>{main.pid()});
        {
            auto second = make_containment("cgroup", {trees.socket(), trees.base()});
            REQUIRE(second);
            CHECK(std::filesystem::exists(instance + "-2"));
        }
        CHECK_FALSE(std::filesystem::exists(instance + "-2"));
        trees.end_main(7, main);
        trees->remove(7);
        CHECK_FALSE(std::filesystem::exists(instance + "/7-tree"));
    }
    CHECK_FALSE(std::filesystem::exists(instance));
}

TEST_CASE(
    "a group that an instance left is removed by the next, unless somebody lives in it or its procd does") {
    TempGroup group;
    if (group.path().empty()) return;
    const std::string dead = group.path() + "/procd-dead";
    const std::string living = group.path() + "/procd-living";
    for (const auto& path : {dead, dead + "/1-x", living}) ::mkdir(path.c_str(), 0755);
    const UniqueFd lock(::open((living + "/cgroup.kill").c_str(), O_WRONLY | O_CLOEXEC));
    REQUIRE(::flock(lock.get(), LOCK_EX | LOCK_NB) == 0);
    auto containment = make_containment("cgroup", {"", group.path()});
    REQUIRE(containment);
    CHECK_FALSE(std::filesystem::exists(dead));
    CHECK(std::filesystem::exists(living));
}

TEST_CASE("a procd on the same socket finds the trees of the one before, whoever made its group") {
    TempGroup group;
    if (group.path().empty()) return;
    TempDir dir;
    const ContainmentConfig config{dir.file("procd.sock"), group.path()};
    LaunchPlan plan = plan_for({helper("linger")});
    std::string place;
    std::vector<Child> children;
    {
        auto before = make_containment("cgroup", config);
        REQUIRE(before);
        place = (*before)->place();
        const auto fd = (*before)->open_group(7, "it");
        REQUIRE(fd);
        plan.cgroup_fd = fd->get();
        children.push_back(start(plan));
    }
    Child& main = children.front();
    const auto found_by = [&](const ContainmentConfig& next_config) {
        auto next = make_containment("cgroup", next_config);
        REQUIRE(next);
        CHECK((*next)->left_trees() == std::vector<TreeId>{7});
        CHECK((*next)->find_main(7, ::getuid()).pid == main.pid());
        CHECK((*next)->holds(7, main.pid(), ::getuid()));
        CHECK_FALSE((*next)->holds(7, ::getpid(), ::getuid()));
        (*next)->take_back(7, {main.pid(), main.pidfd(), *start_time(main.pid()), ::getuid()}, {});
        CHECK(*(*next)->tree_of(main.pid()) == 7);
        CHECK((*next)->count_rest(7) == 0);
        return (*next)->place();
    };
    CHECK(found_by(config) == place);
    SUBCASE("elsewhere") {
        TempGroup other;
        ContainmentConfig moved{dir.file("procd.sock"), other.path(), place};
        CHECK(found_by(moved) == place);
    }
    SUBCASE("another socket's finds nobody") {
        auto next = make_containment("cgroup", {dir.file("other.sock"), group.path()});
        REQUIRE(next);
        CHECK((*next)->left_trees().empty());
    }
    kill_group(place + "/7-it", [](pid_t pid) { signal_process(pid, 0, SIGKILL); });
    main.wait();
    CHECK(eventually([&] { return remove_group(place); }));
}

TEST_CASE("the watch of a group reports its emptiness") {
    Trees trees("cgroup");
    if (!trees) return;
    Child& main = trees.start_tree(1, {helper("daemonise")});
    trees.line();
    const UniqueFd watch = trees->empty_watch(1);
    REQUIRE(watch);
    rearm_empty_watch(watch.get());
    pollfd poller{watch.get(), POLLPRI, 0};
    CHECK(::poll(&poller, 1, 0) == 0);
    trees.end_main(1, main);
    CHECK(rearm_empty_watch(watch.get()));
    trees->kill_tree(1);
    CHECK(::poll(&poller, 1, 10000) == 1);
    CHECK(eventually([&] { return !rearm_empty_watch(watch.get()); }));
    CHECK(trees->count_rest(1) == 0);
}

TEST_CASE("groups that a tree made inside its own are counted, killed and removed with it") {
    Trees trees("cgroup");
    if (!trees) return;
    const std::string group = trees->place() + "/1-tree";
    Child& main = trees.start_tree(1, {helper("nest"), group});
    const pid_t nested = trees.line_pid();
    CHECK(cgroup_of(nested)->find("/1-tree/nested/deeper") != std::string::npos);
    CHECK(trees->count_rest(1) == 1);
    CHECK(*trees->tree_of(nested) == 1);
    trees.end_main(1, main);
    CHECK(trees->count_rest(1) == 1);
    trees->kill_tree(1);
    CHECK(trees.comes_to(1, 0));
    trees->remove(1);
    CHECK_FALSE(std::filesystem::exists(group));
}

TEST_CASE("a group that is not empty yet when it is removed goes later") {
    std::string group;
    {
        Trees trees("cgroup");
        if (!trees) return;
        group = trees->place() + "/1-tree";
        Child& main = trees.start_tree(1, {helper("linger")});
        trees->remove(1);
        CHECK(std::filesystem::exists(group));
        (void)send_signal(main.pidfd(), SIGKILL);
        main.wait();
        trees->remove(1);  // unknown by now
        REQUIRE(trees->open_group(2, "x"));
        trees->remove(2);
        CHECK_FALSE(std::filesystem::exists(group));
    }
}

TEST_CASE("who was moved out of the group is found and ended") {
    Trees trees("cgroup");
    if (!trees) return;

    SUBCASE("by its environment, after its parents are gone") {
        Child& main = trees.start_tree(1, {helper("daemonise")});
        const pid_t moved = trees.line_pid();
        move_to(moved, trees.base());
        trees.end_main(1, main);
        CHECK(processes_in(trees->place()).empty());
        CHECK(trees->count_rest(1) == 1);
        CHECK(*trees->tree_of(moved) == 1);
        CHECK(trees->strays().empty());
        trees->signal_tree(1, SIGTERM, false);
        CHECK(is_running(moved));  // it ignores that
    }
    SUBCASE("by its session") {
        Child& main = trees.start_tree(1, {"sh", "-c", "env -i " + helper("linger") + " ignore & wait"});
        const pid_t moved = trees.line_pid();
        move_to(moved, trees.base());
        trees.end_main(1, main);
        CHECK(trees->count_rest(1) == 1);
    }
    SUBCASE("by its parent, when the tree is told to end") {
        Child& main =
            trees.start_tree(1, {"sh", "-c", "env -i setsid " + helper("linger") + " ignore & wait"});
        const pid_t moved = trees.line_pid();
        move_to(moved, trees.base());
        trees->signal_tree(1, SIGTERM, false);
        main.wait();
        trees->main_reaped(1);
        CHECK(trees->count_rest(1) == 1);
        CHECK(*trees->tree_of(moved) == 1);
    }
    SUBCASE("because it was seen in the group before") {
        Child& main = trees.start_tree(1, {helper("daemonise"), "clean"});
        const pid_t moved = trees.line_pid();
        CHECK(trees.comes_to(1, 1));
        move_to(moved, trees.base());
        trees.end_main(1, main);
        CHECK(trees->count_rest(1) == 1);
    }
    SUBCASE("with what it started itself") {
        const std::string shell = "echo $$; kill -STOP $$; " + helper("linger") + " ignore & wait";
        Child& main = trees.start_tree(1, {"sh", "-c", "sh -c '" + shell + "' & wait"});
        const pid_t moved = trees.line_pid();
        CHECK(eventually([moved] { return read_stat(moved)->state == 'T'; }));
        move_to(moved, trees.base());
        ::kill(moved, SIGCONT);
        const pid_t below = trees.line_pid();
        trees.end_main(1, main);
        CHECK(trees->count_rest(1) == 2);
        CHECK(*trees->tree_of(below) == 1);
    }
    trees->kill_tree(1);
    CHECK(trees.comes_to(1, 0));
}

TEST_CASE("a session's or an environment's word is not taken for a process of another tree's group") {
    Trees trees("cgroup");
    if (!trees) return;
    Child& first = trees.start_tree(1, {helper("linger")});
    trees.line();
    // In the group of 2, and saying it is of 1.
    trees.start_tree(2, {"env", "PROCD_ID=1", helper("daemonise")});
    const pid_t liar = trees.line_pid();
    CHECK(trees.comes_to(2, 1));
    CHECK(*trees->tree_of(liar) == 2);
    trees.end_main(1, first);
    CHECK(trees->count_rest(1) == 0);
}

TEST_CASE("cgroups that may not be written are an error that names them, and auto says why it does without") {
    TempDir dir;
    const auto refused = make_containment("cgroup", {"", dir.path()});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message().find(dir.path()) != std::string::npos);
    const auto automatic = make_containment("auto", {"", dir.path()});
    REQUIRE(automatic);
    CHECK((*automatic)->kind() == "subreaper");
    CHECK((*automatic)->description().find(dir.path()) != std::string::npos);
}

TEST_CASE("a group is killed member by member where the kernel has no cgroup.kill") {
    TempGroup group;
    if (group.path().empty()) return;
    // A directory of a hierarchy where cgroup.kill cannot be written is as good as one without it: the root
    // has none.
    const UniqueFd fd(::open(group.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    LaunchPlan plan = plan_for({helper("linger")});
    plan.cgroup_fd = fd.get();
    Child child = start(plan);
    kill_group_one_by_one(group.path(), [](pid_t pid) { signal_process(pid, 0, SIGKILL); });
    CHECK(child.wait().signal == SIGKILL);
}
