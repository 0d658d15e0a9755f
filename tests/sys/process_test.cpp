// Pidfds, /proc, limits, users, logs and signals.
#include <cerrno>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "daemon/sys/containment.hpp"
#include "daemon/sys/descriptors.hpp"
#include "daemon/sys/limits.hpp"
#include "daemon/sys/notify.hpp"
#include "daemon/sys/peer.hpp"
#include "daemon/sys/process_self.hpp"
#include "daemon/sys/procfs.hpp"
#include "daemon/sys/signals.hpp"
#include "daemon/sys/users.hpp"
#include "tests/sys/support.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

TEST_CASE("a process is reaped once, by its pidfd, without waiting") {
    Child child = start(plan_for({helper("linger")}));
    CHECK_FALSE(reap(child.pidfd()).has_value());
    CHECK_FALSE(has_exited(child.pidfd()));
    REQUIRE(send_signal(child.pidfd(), SIGKILL));
    CHECK(eventually([&] { return has_exited(child.pidfd()); }));
    CHECK(*pid_of(child.pidfd()) == child.pid());  // a zombie keeps it
    REQUIRE(peek_exit(child.pidfd()));
    CHECK(peek_exit(child.pidfd())->signal == SIGKILL);  // as often as one likes
    CHECK_FALSE(recorded_exit(child.pidfd()));
    const auto exit = reap(child.pidfd());
    REQUIRE(exit);
    CHECK(exit->signaled);
    CHECK(exit->signal == SIGKILL);
    CHECK_FALSE(exit->core);
    CHECK_FALSE(reap(child.pidfd()).has_value());
    CHECK(pid_of(child.pidfd()).error().error == ESRCH);
    CHECK(has_exited(child.pidfd()));
    CHECK(send_signal(child.pidfd(), SIGKILL).error().error == ESRCH);
    if (const auto recorded = recorded_exit(child.pidfd())) CHECK(recorded->signal == SIGKILL);
}

TEST_CASE("an exit code is kept as it was, and where the kernel can, after another reaped") {
    Child child = start(plan_for({"sh", "-c", "exit 42"}));
    CHECK(eventually([&] { return has_exited(child.pidfd()); }));
    CHECK_FALSE(recorded_exit(child.pidfd()).has_value());  // not while it is a zombie
    CHECK(reap_pid(child.pid()));
    CHECK_FALSE(reap_pid(child.pid()));
    if (const auto recorded = recorded_exit(child.pidfd())) {
        CHECK_FALSE(recorded->signaled);
        CHECK(recorded->code == 42);
    }
}

TEST_CASE("a signal goes to the process that was meant, not to who has its pid now") {
    Child child = start(plan_for({helper("linger")}));
    CHECK_FALSE(signal_process(child.pid(), child.start_time() + 1, SIGKILL));
    CHECK(is_running(child.pid()));
    CHECK(signal_process(child.pid(), child.start_time(), SIGKILL));
    CHECK(child.wait().signal == SIGKILL);
    CHECK_FALSE(signal_process(child.pid(), child.start_time(), SIGKILL));
}

TEST_CASE("a descriptor can be fetched from another process") {
    Pipe pipe;
    LaunchPlan plan = plan_for({helper("linger")});
    plan.extra_fds = {pipe.write_end.get()};
    Child child = start(plan);
    auto fetched = fetch_descriptor(child.pidfd(), 3);
    if (!fetched && fetched.error().error == EPERM) return;  // forbidden on this machine
    REQUIRE(fetched);
    CHECK(::write(fetched->get(), "x\n", 2) == 2);
    CHECK(read_line(pipe.read_end.get()) == "x");
    CHECK(fetch_descriptor(child.pidfd(), 999).error().error == EBADF);
}

TEST_CASE("the caller of a program is a program: subshells are passed over") {
    Pipe pipe;
    // The shell, a subshell that has not exec'd, and in it a program.
    LaunchPlan plan = plan_for({"sh", "-c", "( " + helper("linger") + "; true ); true"});
    plan.stdio[1] = pipe.write_end.get();
    Child shell = start(plan);
    const pid_t program = std::stoi(read_line(pipe.read_end.get()));
    const pid_t subshell = read_stat(program)->ppid;
    CHECK(subshell != shell.pid());
    CHECK(*caller_program(program) == shell.pid());
    CHECK(caller_program(1).error().error == ESRCH);
    CHECK(caller_program(4194305).error().error == ESRCH);
    ::kill(subshell, SIGKILL);
    ::kill(program, SIGKILL);
}

TEST_CASE("stat is read whatever a process calls itself") {
    const std::string tail = " S 10 11 12 0 -1 4194368 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 100\n";
    for (const std::string name : {"plain", "two words", ") R 1 1", "((", "new\nline", ""}) {
        const auto stat = parse_stat("4242 (" + name + ")" + tail);
        REQUIRE(stat);
        CHECK(stat->pid == 4242);
        CHECK(stat->comm == name);
        CHECK(stat->state == 'S');
        CHECK(stat->ppid == 10);
        CHECK(stat->session == 12);
        CHECK(stat->never_execed());
        CHECK_FALSE(stat->is_exiting());
        CHECK(stat->start_time == 987654);
    }
    for (const char* bad : {"", "4242", "4242 (x", "4242 (x) S 1", "x (x) S 1 2 3", ")(", "1)("}) {
        CHECK_FALSE(parse_stat(bad).has_value());
    }
}

TEST_CASE("what /proc tells of a child") {
    LaunchPlan plan = plan_for({helper("linger")});
    plan.env = {"PREFIX_A=no", "A=yes", "EMPTY="};
    plan.no_new_privs = true;
    Pipe pipe;
    plan.stdio[1] = pipe.write_end.get();
    Child child = start(plan);
    read_line(
        pipe.read_end.get());  // its new memory is in place; at the return of the start it may not be yet
    CHECK(environment_value(child.pid(), "A") == "yes");
    CHECK(environment_value(child.pid(), "EMPTY") == "");
    CHECK_FALSE(environment_value(child.pid(), "B").has_value());
    CHECK(*effective_uid_of(child.pid()) == ::geteuid());
    CHECK(restrictions_of(child.pid())->no_new_privs);
    CHECK(restrictions_of(child.pid())->seccomp == restrictions_of(::getpid())->seccomp);
    CHECK(*namespace_of(child.pid(), "pid") == *namespace_of(::getpid(), "pid"));
    CHECK(*cgroup_of(child.pid()) == *cgroup_of(::getpid()));
    CHECK(comm_of(child.pid()) == "helper_linger");
    CHECK(command_of(child.pid()) == std::vector<std::string>{helper("linger")});
    CHECK(cwd_of(child.pid()) == "/");
    const auto children = children_of(::getpid());
    CHECK(std::find(children.begin(), children.end(), child.pid()) != children.end());
    CHECK(boot_id().size() == 36);
    CHECK(real_path("/proc/../etc/.") == "/etc");
    CHECK_FALSE(real_path("/nowhere/at/all").has_value());
}

TEST_CASE("limits have names, and are read from the kernel or its text alike") {
    CHECK(resource_named("nofile") == RLIMIT_NOFILE);
    CHECK(resource_named("core") == RLIMIT_CORE);
    CHECK_FALSE(resource_named("NOFILE").has_value());
    for (const LimitName& limit : limit_names()) CHECK(name_of_resource(limit.resource) == limit.name);
    CHECK(name_of_resource(99).empty());

    const auto direct = limits_of(::getpid());
    REQUIRE(direct);
    const auto parsed = parse_limits(*read_kernel_file("/proc/self/limits"));
    CHECK(direct->size() == RLIM_NLIMITS);
    REQUIRE(parsed.size() == RLIM_NLIMITS);
    for (const ResourceLimit& limit : *direct) {
        const auto same = std::find_if(parsed.begin(), parsed.end(), [&limit](const ResourceLimit& other) {
            return other.resource == limit.resource && other.soft == limit.soft && other.hard == limit.hard;
        });
        INFO(name_of_resource(limit.resource));
        CHECK(same != parsed.end());
    }

    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    const auto original = raise_nofile();
    REQUIRE(original);
    CHECK(original->soft == before.rlim_cur);
    rlimit after{};
    ::getrlimit(RLIMIT_NOFILE, &after);
    CHECK(after.rlim_cur == before.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &before);
}

TEST_CASE("users and groups are found by number and by name") {
    const auto root = user_of(0);
    REQUIRE(root);
    CHECK(root->name == "root");
    CHECK(root->home == "/root");
    CHECK(user_named("root")->uid == 0);
    CHECK_FALSE(user_named("no-such-user-here").has_value());
    CHECK_FALSE(user_of(3999999999U).has_value());
    const auto groups = groups_of(*root);
    CHECK(std::find(groups.begin(), groups.end(), 0U) != groups.end());
    CHECK(gid_of_group("root") == 0);
    CHECK_FALSE(gid_of_group("no-such-group-here").has_value());
}

TEST_CASE("the daemon's signals are read, not delivered") {
    sigset_t before;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
    {
        const auto signals = open_signals();
        REQUIRE(signals);
        while (read_signal(signals->get())) {
        }
        ::raise(SIGHUP);
        CHECK(read_signal(signals->get()) == SIGHUP);
        CHECK_FALSE(read_signal(signals->get()).has_value());
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("orphans are reaped, mains are left to their pidfd") {
    REQUIRE(become_subreaper());
    Child main = start(plan_for({"/bin/true"}));
    Pipe pipe;
    LaunchPlan plan = plan_for({helper("daemonise"), "exit"});
    plan.stdio[1] = pipe.write_end.get();
    Child parent = start(plan);
    const pid_t orphan = std::stoi(read_line(pipe.read_end.get()));
    CHECK(parent.wait().code == 0);
    CHECK(eventually([&] { return has_exited(main.pidfd()); }));
    ::kill(orphan, SIGKILL);
    CHECK(eventually([&] { return !is_running(orphan); }));
    CHECK(peek_ended_child() != 0);
    CHECK(reap_orphans([&](pid_t pid) { return pid == main.pid(); }) >= 1);
    CHECK_FALSE(read_stat(orphan));
    CHECK(peek_ended_child() == main.pid());
    CHECK(main.wait().code == 0);
    CHECK(peek_ended_child() == 0);
}

TEST_CASE("without a service manager there is nothing to take and nobody to tell") {
    CHECK(passed_descriptors().empty());
    notify("READY=1");
    CHECK_FALSE(has_service_manager());
    const auto stored = store_descriptor("pidfd-1", STDIN_FILENO);
    REQUIRE(stored);
    CHECK_FALSE(*stored);
    CHECK_FALSE(*remove_stored("pidfd-1"));
}

TEST_CASE("an error reads as what was done to what, and why it failed") {
    CHECK(SysError{"open", "/x", ENOENT}.message() == "open /x: No such file or directory");
    CHECK(SysError{"recvmsg", "", ECONNRESET}.message() == "recvmsg: Connection reset by peer");
    CHECK(SysError{"another procd already serves", "/x", 0}.message() == "another procd already serves /x");
}

TEST_CASE("each stage has its name") {
    CHECK(std::string(to_text(Stage::prepare)) == "prepare");
    CHECK(std::string(to_text(Stage::open_stderr)) == "open stderr");
    CHECK(std::string(to_text(Stage::exec)) == "exec");
}

TEST_CASE("what cannot be looked up for want of descriptors is not said to be gone") {
    Child child = start(plan_for({helper("linger")}));
    auto trees = make_containment("subreaper", {"/procd.sock", ""});
    REQUIRE(trees);
    (*trees)->born(1, {child.pid(), child.pidfd(), child.start_time(), ::geteuid()});
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    const UniqueFd one(pair[0]), other(pair[1]);
    const auto peer = peer_of(one.get());
    REQUIRE(peer);

    const OutOfDescriptors none;
    const auto is_shortage = [](const auto& result) {
        return !result && result.error().error == EMFILE && result.error().is_shortage();
    };
    CHECK(is_shortage(open_pidfd(child.pid())));
    CHECK(is_shortage(pid_of(child.pidfd())));
    CHECK(is_shortage(is_pidfd(child.pidfd())));
    CHECK(is_shortage(start_time(child.pid())));
    CHECK(is_shortage(effective_uid_of(child.pid())));
    CHECK(is_shortage(restrictions_of(child.pid())));
    CHECK(is_shortage(cgroup_of(child.pid())));
    CHECK(is_shortage(caller_program(child.pid())));
    CHECK(is_shortage(peer_pidfd(one.get(), *peer)));
    CHECK(is_shortage(peer_pidfd(one.get(), *peer, PeerPidfd::by_pid)));
    CHECK(is_shortage(duplicate(one.get())));
    CHECK(is_shortage(readable_for_ever()));
    CHECK(is_shortage((*trees)->tree_of(child.pid())));
    CHECK(open_pidfd(child.pid()).error().message() ==
          "pidfd_open " + std::to_string(child.pid()) + ": Too many open files");
}
