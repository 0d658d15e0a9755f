#include <cerrno>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

#include "daemon/sys/clone.hpp"
#include "daemon/sys/procfs.hpp"
#include "tests/sys/support.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

namespace {

bool failed_at(const LaunchPlan& plan, Stage stage, int error) {
    const SpawnError got = failure_of(plan);
    INFO("stage ", to_text(got.stage), " errno ", got.error);
    CHECK(std::string(to_text(got.stage)) == to_text(stage));
    CHECK(got.error == error);
    CHECK_FALSE(got.killed);
    return got.stage == stage && got.error == error;
}

// Capabilities are a thread's own: what is dropped here is back when the thread has ended.
void without_capability(int capability, const std::function<void()>& act) {
    std::thread([&] {
        __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
        __user_cap_data_struct data[2];
        ::syscall(SYS_capget, &header, data);
        data[capability / 32].effective &= ~(1U << (capability % 32));
        ::syscall(SYS_capset, &header, data);
        act();
    }).join();
}

}  // namespace

TEST_CASE("a child starts and its pid, pidfd and start time are its own") {
    Child child = start(plan_for({helper("linger")}));
    CHECK(*pid_of(child.pidfd()) == child.pid());
    CHECK(*start_time(child.pid()) == child.start_time());
    CHECK(child.start_time() > 0);
    CHECK((::fcntl(child.pidfd(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK_FALSE(has_exited(child.pidfd()));
    CHECK(send_signal(child.pidfd(), SIGTERM));
    const Exit exit = child.wait();
    CHECK(exit.signaled);
    CHECK(exit.signal == SIGTERM);
}

TEST_CASE("a child that ends at once is still reported as started") {
    for (int i = 0; i < 50; ++i) {
        Child child = start(plan_for({"/bin/true"}));
        CHECK(child.start_time() > 0);
        CHECK(child.wait().code == 0);
    }
}

TEST_CASE("each stage fails with its own name and errno") {
    TempDir dir;
    LaunchPlan plan = plan_for({"/bin/true"});

    SUBCASE("prepare: no command") {
        failed_at(plan_for({}), Stage::prepare, EINVAL);
    }
    SUBCASE("prepare: an id that would mean procd's own") {
        plan.become = Credentials{static_cast<uid_t>(-1), 0, {}};
        failed_at(plan, Stage::prepare, EINVAL);
    }
    SUBCASE("clone: no such cgroup") {
        plan.cgroup_fd = 9999;
        failed_at(plan, Stage::clone, EBADF);
    }
    SUBCASE("descriptors: not open") {
        plan.extra_fds = {9999};
        failed_at(plan, Stage::descriptors, EBADF);
    }
    SUBCASE("limits: soft over hard") {
        plan.limits = {{RLIMIT_NOFILE, 20, 10}};
        failed_at(plan, Stage::limits, EINVAL);
    }
    SUBCASE("groups and user: no right to") {
        if (!is_root()) return;
        plan.become = Credentials{65534, 65534, {65534}};
        without_capability(CAP_SETGID, [&] { failed_at(plan, Stage::groups, EPERM); });
        plan.become = Credentials{65534, 0, {0}};
        without_capability(CAP_SETUID, [&] { failed_at(plan, Stage::user, EPERM); });
    }
    SUBCASE("chdir") {
        plan.cwd = dir.file("none");
        failed_at(plan, Stage::chdir, ENOENT);
    }
    SUBCASE("open stdin") {
        plan.stdio[0] = FileToOpen{dir.file("none")};
        failed_at(plan, Stage::open_stdin, ENOENT);
    }
    SUBCASE("open stdout") {
        plan.stdio[1] = FileToOpen{dir.path(), true};
        failed_at(plan, Stage::open_stdout, EISDIR);
    }
    SUBCASE("open stderr") {
        plan.stdio[2] = FileToOpen{dir.file("none/x"), true};
        failed_at(plan, Stage::open_stderr, ENOENT);
    }
    SUBCASE("exec: not there") {
        failed_at(plan_for({dir.file("none")}), Stage::exec, ENOENT);
    }
    SUBCASE("exec: a directory") {
        failed_at(plan_for({dir.path()}), Stage::exec, EACCES);
    }
    SUBCASE("exec: no shell takes over what is no program") {
        write_file(dir.file("script"), "echo hello\n", 0755);
        failed_at(plan_for({dir.file("script")}), Stage::exec, ENOEXEC);
    }
    SUBCASE("exec: too large an argument") {
        plan.argv.push_back(std::string(1 << 20, 'x'));
        failed_at(plan, Stage::exec, E2BIG);
    }
    CHECK(::waitpid(-1, nullptr, WNOHANG) <= 0);  // whoever failed was reaped
}

TEST_CASE("a start fails cleanly when no descriptor is left, and works again after") {
    start(plan_for({"/bin/true"})).wait();
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    LaunchPlan plan = plan_for({"/bin/true"});
    const UniqueFd highest = open_null_device();
    plan.null_device = highest.get();
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(highest.get()) + 1;
    ::setrlimit(RLIMIT_NOFILE, &none);
    const SpawnError error = failure_of(plan);
    const SpawnError without = failure_of(plan_for({"/bin/true"}));
    ::setrlimit(RLIMIT_NOFILE, &before);
    CHECK(without.stage == Stage::prepare);
    CHECK(without.error == EMFILE);
    CHECK(error.stage == Stage::clone);
    CHECK(error.error == EMFILE);
    CHECK(start(plan_for({"/bin/true"})).wait().code == 0);
}

TEST_CASE("signals are all default and none is blocked, whatever procd does") {
    struct sigaction ignored {};
    struct sigaction before {};
    ignored.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &ignored, &before);
    ::sigaction(SIGRTMIN + 3, &ignored, nullptr);
    sigset_t blocked, old;
    ::sigfillset(&blocked);
    ::pthread_sigmask(SIG_SETMASK, &blocked, &old);
    auto report = report_of(plan_for({helper("report")}));
    sigset_t after;
    ::pthread_sigmask(SIG_SETMASK, &old, &after);
    ::sigaction(SIGPIPE, &before, nullptr);
    ::signal(SIGRTMIN + 3, SIG_DFL);

    CHECK(report["SigBlk"] == "0000000000000000");
    CHECK(report["SigIgn"] == "0000000000000000");
    CHECK(report["SigPnd"] == "0000000000000000");
    CHECK(::sigismember(&after, SIGTERM) == 1);  // procd's own mask is as it was
}

TEST_CASE("a child has its own session, the plan's directory, umask, limits, arguments and environment") {
    TempDir dir;
    LaunchPlan plan = plan_for({helper("report"), "", "two words"});
    plan.cwd = dir.path();
    plan.umask = 027;
    plan.limits = {{RLIMIT_NOFILE, 77, 99}};
    plan.env = {"A=1", "B=two\twords"};
    auto report = report_of(plan);
    CHECK(report["leads session"] == "yes");
    CHECK(report["cwd"] == dir.path());
    CHECK(report["umask"] == "027");
    CHECK(report["nofile"] == "77 99");
    CHECK(report["arg1"] == "");
    CHECK(report["arg2"] == "two words");
    CHECK(report["env"] == "A=1\nB=two\twords");
    CHECK(report["NoNewPrivs"] == "0");
    plan.no_new_privs = true;
    CHECK(report_of(plan)["NoNewPrivs"] == "1");
}

TEST_CASE("nothing is open in a child but what the plan names") {
    // Neither close-on-exec nor in the plan.
    const UniqueFd leaky(::open("/dev/zero", O_RDONLY));
    auto report = report_of(plan_for({helper("report")}));
    CHECK(report["fds"] == "0 1 2");
    CHECK(report["fd0"] == "/dev/null");
    CHECK(report["fd2"] == "/dev/null");
}

TEST_CASE("extra descriptors land at 3, 4, … however their numbers overlap") {
    TempDir dir;
    write_file(dir.file("a"), "");
    write_file(dir.file("b"), "");
    UniqueFd a(::open(dir.file("a").c_str(), O_RDONLY | O_CLOEXEC));
    UniqueFd b(::open(dir.file("b").c_str(), O_RDONLY | O_CLOEXEC));

    SUBCASE("in order, and the same one twice") {
        LaunchPlan plan = plan_for({helper("report")});
        plan.extra_fds = {a.get(), b.get(), a.get()};
        auto report = report_of(plan);
        CHECK(report["fds"] == "0 1 2 3 4 5");
        CHECK(report["fd3"] == dir.file("a"));
        CHECK(report["fd4"] == dir.file("b"));
        CHECK(report["fd5"] == dir.file("a"));
    }
    SUBCASE("4 becomes 3 and 3 becomes 4") {
        // Whatever the test program has at 3 and 4 is put back after.
        const UniqueFd saved3(::fcntl(3, F_DUPFD_CLOEXEC, 100));
        const UniqueFd saved4(::fcntl(4, F_DUPFD_CLOEXEC, 100));
        const UniqueFd high_a(::fcntl(a.get(), F_DUPFD_CLOEXEC, 100));
        const UniqueFd high_b(::fcntl(b.get(), F_DUPFD_CLOEXEC, 100));
        ::dup3(high_a.get(), 3, O_CLOEXEC);
        ::dup3(high_b.get(), 4, O_CLOEXEC);
        LaunchPlan plan = plan_for({helper("report")});
        plan.extra_fds = {4, 3};
        Pipe pipe;
        const UniqueFd high_out(::fcntl(pipe.write_end.get(), F_DUPFD_CLOEXEC, 100));
        plan.stdio[1] = high_out.get();
        auto report = report_of(plan);
        ::dup3(saved3.get(), 3, O_CLOEXEC);
        ::dup3(saved4.get(), 4, O_CLOEXEC);
        if (!saved3) ::close(3);
        if (!saved4) ::close(4);
        CHECK(report["fd3"] == dir.file("b"));
        CHECK(report["fd4"] == dir.file("a"));
    }
}

TEST_CASE("stdio is opened by the child after chdir: relative, appended or cut, stderr beside stdout") {
    TempDir dir;
    write_file(dir.file("in"), "from stdin");
    write_file(dir.file("out"), "old ");
    LaunchPlan plan = plan_for({"sh", "-c", "cat; echo ' to stderr' >&2"});
    plan.cwd = dir.path();
    plan.stdio = {FileToOpen{"in"}, FileToOpen{"out", true, true}, SameAsStdout{}};
    CHECK(start(plan).wait().code == 0);
    CHECK(*read_kernel_file(dir.file("out")) == "old from stdin to stderr\n");
    plan.stdio[1] = FileToOpen{"out", true, false};
    plan.stdio[2] = FileToOpen{"err", true};
    plan.umask = 077;
    CHECK(start(plan).wait().code == 0);
    CHECK(*read_kernel_file(dir.file("out")) == "from stdin");
    CHECK(*read_kernel_file(dir.file("err")) == " to stderr\n");
    struct stat status {};
    CHECK(::stat(dir.file("err").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("a FIFO is never waited for") {
    TempDir dir;
    REQUIRE(::mkfifo(dir.file("fifo").c_str(), 0600) == 0);
    LaunchPlan plan = plan_for({"cat"});
    plan.stdio[0] = FileToOpen{dir.file("fifo")};
    CHECK(start(plan).wait().code == 0);  // nobody writes: the end of the file
    plan.stdio[0] = -1;
    plan.stdio[1] = FileToOpen{dir.file("fifo"), true};
    failed_at(plan, Stage::open_stdout, ENXIO);

    const UniqueFd reader(::open(dir.file("fifo").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    plan.argv = {"sh", "-c", "grep -q '^flags:.*[4567]...$' /proc/self/fdinfo/1 && exit 1; echo written"};
    CHECK(start(plan).wait().code == 0);  // and its descriptor waits as a program expects it to
    CHECK(read_line(reader.get()) == "written");
}

TEST_CASE("a command without a slash is searched in the PATH of the plan") {
    TempDir dir;
    for (const char* name : {"one", "two", "three"}) ::mkdir(dir.file(name).c_str(), 0755);
    write_file(dir.file("two/tool"), "#!/bin/sh\necho two\n", 0755);
    write_file(dir.file("three/tool"), "#!/bin/sh\necho three\n", 0755);
    LaunchPlan plan = plan_for({"tool"});
    const auto path = [&dir](const std::string& list) {
        std::string text = "PATH=";
        std::istringstream names(list);
        for (std::string name; names >> name;) {
            text += (text == "PATH=" ? "" : ":") + (name == "." ? std::string{} : dir.file(name));
        }
        return text;
    };
    plan.env = {path("one two three")};
    CHECK(output_of(plan) == "two\n");
    plan.env = {path("one three two")};
    CHECK(output_of(plan) == "three\n");
    plan.env = {path("one")};
    failed_at(plan, Stage::exec, ENOENT);
    plan.env = {};
    failed_at(plan, Stage::exec, ENOENT);

    SUBCASE("one that may not be executed is passed over, and remembered") {
        write_file(dir.file("one/tool"), "#!/bin/sh\necho one\n", 0644);
        plan.env = {path("one two")};
        CHECK(output_of(plan) == "two\n");
        plan.env = {path("one none")};
        failed_at(plan, Stage::exec, EACCES);
    }
    SUBCASE("one that is no program ends the search") {
        write_file(dir.file("one/tool"), "echo one\n", 0755);
        plan.env = {path("one two")};
        failed_at(plan, Stage::exec, ENOEXEC);
    }
    SUBCASE("an empty element is the current directory, after chdir") {
        plan.cwd = dir.file("three");
        plan.env = {path("one . two")};
        CHECK(output_of(plan) == "three\n");
    }
    SUBCASE("without PATH there are /bin and /usr/bin") {
        LaunchPlan bare = plan_for({"echo", "found"});
        bare.env = {};
        CHECK(output_of(bare) == "found\n");
    }
    SUBCASE("an empty command is nowhere") {
        failed_at(plan_for({""}), Stage::exec, ENOENT);
    }
}

TEST_CASE("root's procd starts a process as another user, with exactly that user's groups") {
    if (!is_root()) return;
    TempDir dir;
    ::chmod(dir.path().c_str(), 0777);
    LaunchPlan plan = plan_for({helper("report")});
    plan.become = Credentials{65534, 65534, {65534, 4, 20}};
    plan.stdio[2] = FileToOpen{dir.file("err"), true};
    auto report = report_of(plan);
    CHECK(report["Uid"] == "65534\t65534\t65534\t65534");
    CHECK(report["Gid"] == "65534\t65534\t65534\t65534");
    std::istringstream groups(report["Groups"]);
    std::vector<int> numbers;
    for (int number; groups >> number;) numbers.push_back(number);
    CHECK(numbers == std::vector<int>{4, 20, 65534});
    struct stat status {};
    CHECK(::stat(dir.file("err").c_str(), &status) == 0);
    CHECK(status.st_uid == 65534);

    plan.stdio[2] = -1;
    plan.become->groups.clear();
    CHECK(report_of(plan)["Groups"] == "");

    SUBCASE("files and directories are opened with its rights") {
        write_file(dir.file("secret"), "", 0600);
        plan.stdio[0] = FileToOpen{dir.file("secret")};
        failed_at(plan, Stage::open_stdin, EACCES);
        plan.stdio[0] = -1;
        ::mkdir(dir.file("closed").c_str(), 0700);
        plan.cwd = dir.file("closed");
        failed_at(plan, Stage::chdir, EACCES);
    }
}

TEST_CASE("a thread's mask is the same after a start as before, however it goes") {
    sigset_t before, after;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
    start(plan_for({"/bin/true"})).wait();
    failure_of(plan_for({"/nowhere"}));
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    for (int signal = 1; signal < NSIG; ++signal) {
        CHECK(::sigismember(&before, signal) == ::sigismember(&after, signal));
    }
}

TEST_CASE("many threads start children at once") {
    std::vector<std::thread> threads;
    std::atomic<int> good{0};
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&good] {
            for (int k = 0; k < 20; ++k) {
                LaunchProgress progress;
                auto outcome = spawn(plan_for({k % 2 == 0 ? "/bin/true" : "/nowhere"}), progress);
                if (auto* spawned = std::get_if<Spawned>(&outcome)) {
                    Child child(std::move(*spawned));
                    if (eventually([&child] { return has_exited(child.pidfd()); })) ++good;
                } else if (std::get<SpawnError>(outcome).error == ENOENT) {
                    ++good;
                }
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK(good == 160);
}
