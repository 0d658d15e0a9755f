// Closing what takes its time.
#include "daemon/sys/closing.hpp"

#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <netinet/in.h>
#include <span>
#include <sys/socket.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "base/fd_passing.hpp"
#include "daemon/sys/descriptors.hpp"
#include "tests/sys/support.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

namespace {

constexpr uid_t k_slow_user = 1001;
constexpr uid_t k_other_user = 1002;

// A connection whose last close waits until its peer has read all, or has gone.
struct Lingering {
    Lingering() {
        const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::bind(listener.get(), generic, size) == 0);
        REQUIRE(::listen(listener.get(), 1) == 0);
        REQUIRE(::getsockname(listener.get(), generic, &size) == 0);
        slow.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::connect(slow.get(), generic, size) == 0);
        peer.reset(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
        REQUIRE(peer);
        const std::array<char, 65536> bytes{};
        while (::send(slow.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
        }
        const linger wait{1, 60};
        REQUIRE(::setsockopt(slow.get(), SOL_SOCKET, SO_LINGER, &wait, sizeof wait) == 0);
    }
    UniqueFd slow;
    UniqueFd peer;
};

DescriptorsHeld held(std::size_t count) {
    return std::make_shared<std::atomic<std::size_t>>(count);
}

}  // namespace

TEST_CASE("a close that takes its time is waited for by nobody, and counts until it is over") {
    Lingering socket;
    const auto slow = held(2);
    const auto quick = held(1);
    const auto before = std::chrono::steady_clock::now();
    close_elsewhere(k_slow_user, std::move(socket.slow), slow);
    close_elsewhere(k_slow_user, *readable_for_ever(), slow);  // behind it
    close_elsewhere(k_other_user, *readable_for_ever(), quick);
    CHECK(eventually([&] { return *quick == 0; }));
    CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(5));
    CHECK(*slow == 2);
    await_closing(std::chrono::milliseconds(1));  // no longer than that
    CHECK(*slow == 2);
    socket.peer.reset();
    await_closing(std::chrono::seconds(20));
    CHECK(*slow == 0);
}

TEST_CASE("what is closed in no time is closed at once") {
    Pipe pipe;
    const auto count = held(1);
    close_elsewhere(k_slow_user, std::move(pipe.write_end), count);
    CHECK(*count == 0);
    char byte = 0;
    CHECK(::read(pipe.read_end.get(), &byte, 1) == 0);
}

TEST_CASE("descriptors that nobody has read are closed elsewhere, too") {
    Lingering socket;
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    UniqueFd ours(ends[0]);
    const UniqueFd theirs(ends[1]);
    const std::array fds{socket.slow.get()};
    REQUIRE(send_with_fds(theirs.get(), std::span("x", 1), fds));
    socket.slow.reset();
    const auto before = std::chrono::steady_clock::now();
    discard_input(k_slow_user, ours.get());
    ours.reset();
    CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(5));
    socket.peer.reset();
    await_closing(std::chrono::seconds(20));
}
