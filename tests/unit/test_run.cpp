#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <string>
#include <unistd.h>

#include <doctest/doctest.h>

#include "client/procctl/byte_queue.hpp"
#include "client/procctl/cli.hpp"
#include "client/procctl/job_control.hpp"
#include "client/procctl/signals.hpp"

using namespace procctl;
using procd::client::Deadline;

namespace {

void put(ByteQueue& queue, std::string_view text) {
    const auto space = queue.space();
    REQUIRE(space.size() >= text.size());
    std::copy(text.begin(), text.end(), space.begin());
    queue.filled(text.size());
}

// Something that is always due, and asks to stop after some calls.
struct Busy : Attended {
    int calls = 0;
    int last;
    explicit Busy(int most) : last(most) {}
    Deadline prepare(std::vector<pollfd>& entries) override {
        entries.push_back({-1, POLLIN, 0});
        return Deadline::after(0.0);
    }
    bool attend(std::span<const pollfd> entries) override {
        CHECK(entries.size() == 1);
        return ++calls < last;
    }
};

}  // namespace

TEST_CASE("a queue gives its bytes in the order they came, however they are taken") {
    ByteQueue queue(8);
    CHECK(queue.empty());
    CHECK(queue.front().empty());
    put(queue, "abcdef");
    CHECK(queue.front() == "abcdef");
    queue.taken(4);
    CHECK(queue.front() == "ef");
    CHECK(queue.space().size() == 6);  // what was taken makes room
    put(queue, "ghijkl");
    CHECK(queue.full());
    CHECK(queue.space().empty());
    CHECK(queue.front() == "efghijkl");
    queue.taken(8);
    CHECK(queue.empty());
    CHECK(queue.space().size() == 8);
    put(queue, "x");
    queue.clear();
    CHECK(queue.empty());
}

TEST_CASE("the pid of a pidfd is read from its fdinfo") {
    const std::string head = "pos:\t0\nflags:\t02000002\nmnt_id:\t15\nino:\t2056\n";
    CHECK(pid_of_fdinfo(head + "Pid:\t4242\nNSpid:\t4242\n") == 4242);
    CHECK_FALSE(pid_of_fdinfo(head + "Pid:\t-1\nNSpid:\t-1\n"));  // it is gone
    CHECK_FALSE(pid_of_fdinfo(head + "Pid:\t0\nNSpid:\t0\n"));    // of another pid namespace
    CHECK_FALSE(pid_of_fdinfo(head));                             // no pidfd
    CHECK_FALSE(pid_of_fdinfo(""));
}

TEST_CASE("run takes --pty, and no other verb does") {
    const auto options = [](std::vector<std::string> words) { return parse_command_line(words); };
    for (const char* flag : {"-t", "--pty"}) {
        const auto parsed = options({"run", flag, "bash", "-t"});
        REQUIRE(std::holds_alternative<Options>(parsed));
        CHECK(std::get<Options>(parsed).pty);
        CHECK(std::get<Options>(parsed).words == std::vector<std::string>{"bash", "-t"});
        CHECK(std::holds_alternative<Answer>(options({"spawn", flag, "bash"})));
    }
    CHECK_FALSE(std::get<Options>(options({"run", "bash"})).pty);
}

TEST_CASE("what is attended to may stop the waiting, and does not keep it from its deadline") {
    SignalSource signals{SIGURG};
    const auto go_on = [](int) { return true; };
    Busy few(3);
    CHECK(await_reply(nullptr, 0, signals, Deadline::never(), go_on, &few) == Waited::stopped);
    CHECK(few.calls == 3);
    Busy many(1 << 30);
    CHECK(await_reply(nullptr, 0, signals, Deadline::after(0.01), go_on, &many) == Waited::timed_out);
    ::raise(SIGURG);
    CHECK(await_reply(nullptr, 0, signals, Deadline::never(), [](int signal) { return signal != SIGURG; }) ==
          Waited::stopped);
    ::sigprocmask(SIG_SETMASK, &signals.mask_before(), nullptr);
}
