#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "tests/sys/support.hpp"

using procd::UniqueFd;
using namespace procd::sys;
using namespace support;

namespace {

// Both ends of a new terminal.
struct Terminal {
    Terminal() : master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
        REQUIRE(master);
        REQUIRE(::unlockpt(master.get()) == 0);
        slave = opened(O_RDWR);
    }
    UniqueFd opened(int mode) const {
        return UniqueFd(::ioctl(master.get(), TIOCGPTPEER, mode | O_NOCTTY | O_CLOEXEC));
    }
    UniqueFd master;
    UniqueFd slave;
};

LaunchPlan with_terminal(int terminal, std::vector<std::string> argv) {
    LaunchPlan plan = plan_for(std::move(argv));
    plan.terminal = terminal;
    return plan;
}

void refused(const LaunchPlan& plan, int error) {
    const SpawnError got = failure_of(plan);
    CHECK(std::string(to_text(got.stage)) == "controlling terminal");
    CHECK(got.error == error);
}

}  // namespace

TEST_CASE("a child controls the terminal that it is given, and is in its foreground") {
    const Terminal terminal;
    Pipe pipe;
    LaunchPlan plan = with_terminal(
        terminal.slave.get(), {"sh", "-c", "echo through >/dev/tty && ps -o pid=,tpgid=,sid= -p $$; read x"});
    plan.stdio[0] = plan.stdio[2] = terminal.slave.get();
    plan.stdio[1] = pipe.write_end.get();
    Child child = start(plan);
    pipe.write_end.reset();
    CHECK(read_line(terminal.master.get()) == "through\r");
    const std::string line = read_line(pipe.read_end.get());
    char* rest = nullptr;
    for (const char* at = line.c_str(); *at != '\0'; at = rest) {
        CHECK(std::strtol(at, &rest, 10) == child.pid());
        if (rest == at) break;
    }
    CHECK(::write(terminal.master.get(), "\003", 1) == 1);  // Ctrl-C
    CHECK(child.wait().signal == SIGINT);
}

TEST_CASE("the terminal that controls a child need be none of its descriptors") {
    const Terminal terminal;
    auto report = report_of(with_terminal(terminal.slave.get(), {helper("report")}));
    CHECK(report["fds"] == "0 1 2");
    CHECK(output_of(with_terminal(terminal.slave.get(),
                                  {"sh", "-c", "test -c /dev/tty && : </dev/tty && echo yes"})) == "yes\n");
}

TEST_CASE("without one a child has no controlling terminal, even where a terminal is its stdin") {
    const Terminal terminal;
    LaunchPlan plan = plan_for({"sh", "-c", "(: </dev/tty) 2>/dev/null || echo none"});
    plan.stdio[0] = terminal.slave.get();
    CHECK(output_of(plan) == "none\n");
}

TEST_CASE("what cannot control a child is refused") {
    const Terminal terminal;
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    SUBCASE("no terminal") {
        refused(with_terminal(null.get(), {"/bin/true"}), ENOTTY);
    }
    SUBCASE("not open") {
        refused(with_terminal(9999, {"/bin/true"}), EBADF);
    }
    SUBCASE("open only for writing: it would become readable as /dev/tty") {
        const UniqueFd writable = terminal.opened(O_WRONLY);
        REQUIRE(writable);
        refused(with_terminal(writable.get(), {"/bin/true"}), EPERM);
    }
    SUBCASE("that of another session, which keeps it") {
        LaunchPlan plan = with_terminal(terminal.slave.get(), {helper("linger")});
        Child first = start(plan);
        refused(plan, EPERM);
        CHECK(::tcgetsid(terminal.master.get()) == first.pid());
    }
}
