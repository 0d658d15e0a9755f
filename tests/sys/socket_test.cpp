// Listening, peers, and descriptors that travel.
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include "base/fd_passing.hpp"
#include "daemon/sys/listener.hpp"
#include "daemon/sys/peer.hpp"
#include "daemon/sys/procfs.hpp"
#include "tests/sys/support.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

namespace {

struct Pair {
    Pair() {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        one.reset(ends[0]);
        other.reset(ends[1]);
    }
    UniqueFd one;
    UniqueFd other;
};

UniqueFd connect_to(const std::string& path) {
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        socket.reset();
    return socket;
}

std::span<const char> bytes_of(const std::string& text) {
    return {text.data(), text.size()};
}

}  // namespace

TEST_CASE("a listener makes its directory and socket, serves, and takes both files away again") {
    TempDir dir;
    const std::string path = dir.file("run/procd.sock");
    {
        const auto listener = Listener::open({path, 0660, "", false});
        REQUIRE(listener);
        struct stat status {};
        REQUIRE(::stat(path.c_str(), &status) == 0);
        CHECK((status.st_mode & 0777) == 0660);
        REQUIRE(::stat(dir.file("run").c_str(), &status) == 0);
        CHECK((status.st_mode & 0777) == (::geteuid() == 0 ? 0755 : 0700));
        CHECK(*read_kernel_file(path + ".lock") == std::to_string(::getpid()) + "\n");

        const auto none = accept(listener->fd());
        REQUIRE_FALSE(none);
        CHECK(none.error().error == EAGAIN);
        const UniqueFd client = connect_to(path);
        CHECK(client);
        const auto served = accept(listener->fd());
        REQUIRE(served);
        CHECK((::fcntl(served->get(), F_GETFD) & FD_CLOEXEC) != 0);
        CHECK((::fcntl(served->get(), F_GETFL) & O_NONBLOCK) != 0);
    }
    CHECK(std::filesystem::is_empty(dir.file("run")));
}

TEST_CASE("one procd a socket; what a dead one left is replaced; what is no socket is left alone") {
    TempDir dir;
    const std::string path = dir.file("procd.sock");
    {
        const auto first = Listener::open({path});
        REQUIRE(first);
        const auto second = Listener::open({path});
        REQUIRE_FALSE(second);
        CHECK(second.error().message() ==
              "another procd (pid " + std::to_string(::getpid()) + ") already serves " + path);
        CHECK(first->in_place());
        CHECK(connect_to(path));
    }
    {
        const UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.data(), path.size());
        REQUIRE(::bind(stale.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        write_file(path + ".lock", "4242\n");
    }
    {
        const auto after = Listener::open({path});
        REQUIRE(after);
        CHECK(connect_to(path));
    }
    write_file(path, "precious");
    const auto refused = Listener::open({path});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().error == EEXIST);
    CHECK(*read_kernel_file(path) == "precious");
    CHECK_FALSE(std::filesystem::exists(path + ".lock"));
}

TEST_CASE("a listener says what keeps it from being") {
    TempDir dir;
    const auto too_long = Listener::open({dir.file(std::string(120, 'x'))});
    REQUIRE_FALSE(too_long);
    CHECK(too_long.error().error == ENAMETOOLONG);
    CHECK(too_long.error().message().find("at most 107") != std::string::npos);
    CHECK(too_long.error().message().find(std::to_string(dir.path().size() + 121) + " bytes") !=
          std::string::npos);
    CHECK(std::filesystem::is_empty(dir.path()));
    CHECK(Listener::open({dir.file("a/b/procd.sock")}).error().error == ENOENT);
    CHECK(Listener::open({dir.file("a/b/procd.sock"), 0600, "", true}));
    CHECK_FALSE(Listener::open({dir.file("c.sock"), 0600, "no-such-group-here"}));
    CHECK_FALSE(std::filesystem::exists(dir.file("c.sock")));
    write_file(dir.file("file"), "");
    CHECK(Listener::open({dir.file("file/procd.sock")}).error().error == ENOTDIR);
}

TEST_CASE("a socket that was unlinked is noticed and bound again") {
    TempDir dir;
    const std::string path = dir.file("run/procd.sock");
    auto listener = Listener::open({path});
    REQUIRE(listener);
    const UniqueFd watch = listener->watch();
    REQUIRE(watch);
    pollfd poller{watch.get(), POLLIN, 0};
    CHECK(::poll(&poller, 1, 0) == 0);

    SUBCASE("alone") {
        ::unlink(path.c_str());
    }
    SUBCASE("with its directory") {
        std::filesystem::remove_all(dir.file("run"));
    }
    SUBCASE("renamed") {
        ::rename(path.c_str(), dir.file("elsewhere").c_str());
    }

    CHECK(::poll(&poller, 1, 10000) == 1);
    CHECK_FALSE(listener->in_place());
    CHECK(listener->rebind());
    CHECK(listener->in_place());
    CHECK(connect_to(path));
    CHECK(accept(listener->fd()));
    CHECK_FALSE(Listener::open({path}));  // and still locked
    CHECK(listener->rebind());            // in place: nothing to do
}

TEST_CASE("a socket that another has taken is not removed at the end") {
    TempDir dir;
    const std::string path = dir.file("procd.sock");
    {
        const auto listener = Listener::open({path});
        REQUIRE(listener);
        ::unlink(path.c_str());
        write_file(path, "another's");
    }
    CHECK(*read_kernel_file(path) == "another's");
}

TEST_CASE("a socket that was passed is used as it is, and left") {
    TempDir dir;
    const std::string path = dir.file("procd.sock");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    CHECK_FALSE(Listener::adopt(UniqueFd(::dup(socket.get()))));  // does not listen
    REQUIRE(::listen(socket.get(), 5) == 0);
    {
        const auto listener = Listener::adopt(std::move(socket));
        REQUIRE(listener);
        CHECK(listener->path() == path);
        CHECK(listener->in_place());
        CHECK(accept(listener->fd()).error().error == EAGAIN);
    }
    CHECK(std::filesystem::exists(path));
}

TEST_CASE("a peer is who the kernel says") {
    TempDir dir;
    const auto listener = Listener::open({dir.file("s")});
    REQUIRE(listener);
    const UniqueFd client = connect_to(dir.file("s"));
    const auto served = accept(listener->fd());
    REQUIRE(served);
    const auto peer = peer_of(served->get());
    REQUIRE(peer);
    CHECK(peer->pid == ::getpid());
    CHECK(peer->uid == ::geteuid());
    CHECK(peer->gid == ::getegid());
    CHECK(peer->groups.size() == static_cast<std::size_t>(::getgroups(0, nullptr)));
    for (const PeerPidfd how : {PeerPidfd::best, PeerPidfd::by_pid}) {
        const auto pidfd = peer_pidfd(served->get(), *peer, how);
        REQUIRE(pidfd);
        CHECK(*pid_of(pidfd->get()) == ::getpid());
    }
    // The fall-back does not take whoever has the pid by now for the peer.
    Peer gone = *peer;
    gone.pid = 4194305;
    CHECK(peer_pidfd(served->get(), gone, PeerPidfd::by_pid).error().error == ESRCH);
    gone.pid = ::getpid();
    gone.uid = ::geteuid() + 1;
    CHECK(peer_pidfd(served->get(), gone, PeerPidfd::by_pid).error().error == ESRCH);
}

TEST_CASE("bytes and descriptors travel together, close-on-exec at the other end") {
    Pair pair;
    auto nothing = std::array<char, 64>{};
    auto received = receive_with_fds(pair.other.get(), nothing);
    REQUIRE(received);
    CHECK(received->bytes == k_would_block);

    Pipe pipe;
    const std::array<int, 2> fds = {pipe.read_end.get(), pipe.write_end.get()};
    CHECK(*send_with_fds(pair.one.get(), bytes_of("hello"), fds) == 5);
    std::array<char, 64> buffer{};
    received = receive_with_fds(pair.other.get(), buffer);
    REQUIRE(received);
    CHECK(std::string(buffer.data(), static_cast<std::size_t>(received->bytes)) == "hello");
    REQUIRE(received->fds.size() == 2);
    CHECK_FALSE(received->truncated);
    CHECK((::fcntl(received->fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(::write(received->fds[1].get(), "x", 1) == 1);
    char byte = 0;
    CHECK(::read(pipe.read_end.get(), &byte, 1) == 1);

    pair.one.reset();
    CHECK(receive_with_fds(pair.other.get(), buffer)->bytes == 0);
    CHECK(send_with_fds(pair.other.get(), bytes_of("x"), {}).error().error == EPIPE);
}

TEST_CASE("a message takes 253 descriptors, and not one more") {
    Pair pair;
    std::vector<int> fds(k_max_fds_a_message, pair.one.get());
    CHECK(*send_with_fds(pair.one.get(), bytes_of("x"), fds) == 1);
    std::array<char, 8> buffer{};
    const auto received = receive_with_fds(pair.other.get(), buffer);
    REQUIRE(received);
    CHECK(received->fds.size() == k_max_fds_a_message);
    CHECK_FALSE(received->truncated);
    fds.push_back(pair.one.get());
    CHECK(send_with_fds(pair.one.get(), bytes_of("x"), fds).error().error == EINVAL);
}

TEST_CASE("a full socket is reported, not waited for; nothing is sent then") {
    Pair pair;
    const std::string block(65536, 'x');
    ssize_t sent = 0;
    for (int i = 0; i < 1000 && sent >= 0; ++i) sent = *send_with_fds(pair.one.get(), bytes_of(block), {});
    CHECK(sent == k_would_block);
}

TEST_CASE("a half-close is no hang-up, a close is") {
    Pair pair;
    CHECK_FALSE(hung_up(pair.other.get()));
    ::shutdown(pair.one.get(), SHUT_WR);
    CHECK_FALSE(hung_up(pair.other.get()));
    pair.one.reset();
    CHECK(hung_up(pair.other.get()));
}
