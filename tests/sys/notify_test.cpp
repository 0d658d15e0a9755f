// What the service manager passes, keeps and hears: with a socket of the test's own in its place.
#include "daemon/sys/notify.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <fcntl.h>
#include <initializer_list>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/sys/pidfd.hpp"
#include "tests/sys/support.hpp"

using namespace procd;
using namespace procd::sys;
using namespace support;

namespace {

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.copy(address.sun_path, sizeof address.sun_path - 1) == path.size());
    return address;
}

UniqueFd bound_socket(int type, const std::string& path) {
    UniqueFd socket(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    const sockaddr_un address = address_of(path);
    REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return socket;
}

// Stands at NOTIFY_SOCKET as long as it lives.
class Manager {
  public:
    Manager() : socket_(bound_socket(SOCK_DGRAM, dir_.file("notify"))) {
        ::setenv("NOTIFY_SOCKET", dir_.file("notify").c_str(), 1);
    }
    ~Manager() { ::unsetenv("NOTIFY_SOCKET"); }
    Manager(const Manager&) = delete;
    Manager& operator=(const Manager&) = delete;

    struct Message {
        std::string text;
        UniqueFd fd;
    };
    Message next() {
        char text[4096];
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
        iovec part{text, sizeof text};
        msghdr header{};
        header.msg_iov = &part;
        header.msg_iovlen = 1;
        header.msg_control = control;
        header.msg_controllen = sizeof control;
        const ssize_t got = ::recvmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        REQUIRE(got >= 0);
        Message message{std::string(text, static_cast<std::size_t>(got)), {}};
        for (cmsghdr* one = CMSG_FIRSTHDR(&header); one != nullptr; one = CMSG_NXTHDR(&header, one)) {
            int fd = -1;
            if (one->cmsg_type != SCM_RIGHTS) continue;
            std::copy_n(CMSG_DATA(one), sizeof fd, reinterpret_cast<unsigned char*>(&fd));
            message.fd.reset(fd);
        }
        return message;
    }
    bool silent() const {
        char byte = 0;
        return ::recv(socket_.get(), &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
    }

  private:
    TempDir dir_;
    UniqueFd socket_;
};

// Puts descriptors at 3 and on, as a service manager passes them, and what was there back at its end.
class Passed {
  public:
    Passed(std::initializer_list<int> fds, const std::string& names) {
        int at = 3;
        for (const int fd : fds) {
            before_.emplace_back(::fcntl(at, F_DUPFD_CLOEXEC, 100));
            moved_.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 100));
            ++at;
        }
        at = 3;
        for (const UniqueFd& fd : moved_) REQUIRE(::dup2(fd.get(), at++) >= 0);
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        ::setenv("LISTEN_FDS", std::to_string(fds.size()).c_str(), 1);
        if (!names.empty()) ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
    }
    ~Passed() {
        int at = 3;
        for (const UniqueFd& fd : before_) {
            if (fd) ::dup2(fd.get(), at);
            ++at;
        }
    }
    Passed(const Passed&) = delete;
    Passed& operator=(const Passed&) = delete;

  private:
    std::vector<UniqueFd> before_;
    std::vector<UniqueFd> moved_;
};

}  // namespace

TEST_CASE("a descriptor is stored under a name, held whatever becomes of it, and removed by that name") {
    Manager manager;
    Child child = start(plan_for({helper("linger")}));
    const auto stored = store_descriptor(stored_pidfd_name(7), child.pidfd());
    REQUIRE(stored);
    CHECK(*stored);
    const auto message = manager.next();
    CHECK(message.text == "FDSTORE=1\nFDPOLL=0\nFDNAME=pidfd-7");
    REQUIRE(message.fd);
    CHECK(*pid_of(message.fd.get()) == child.pid());

    REQUIRE(remove_stored("pidfd-7"));
    const auto removal = manager.next();
    CHECK(removal.text == "FDSTOREREMOVE=1\nFDNAME=pidfd-7");
    CHECK_FALSE(removal.fd);
}

TEST_CASE("a name that the manager would read as another, or as an order, is refused") {
    Manager manager;
    for (const std::string& name : {std::string(), std::string("a:b"), std::string("a\nREADY=1"),
                                    std::string("\xc3\xa4"), std::string(256, 'a')}) {
        const auto stored = store_descriptor(name, STDIN_FILENO);
        REQUIRE_FALSE(stored);
        CHECK(stored.error().error == EINVAL);
        CHECK_FALSE(remove_stored(name));
    }
    CHECK(manager.silent());
}

TEST_CASE("a manager that does not hear is an error") {
    TempDir dir;
    ::setenv("NOTIFY_SOCKET", dir.file("nobody").c_str(), 1);
    const auto stored = store_descriptor("pidfd-1", STDIN_FILENO);
    ::unsetenv("NOTIFY_SOCKET");
    REQUIRE_FALSE(stored);
    CHECK(stored.error().error == ENOENT);
}

TEST_CASE("what is passed comes once, with its names, and the socket among it is known by its kind") {
    TempDir dir;
    const UniqueFd listening = bound_socket(SOCK_STREAM, dir.file("socket"));
    REQUIRE(::listen(listening.get(), 1) == 0);
    const UniqueFd silent = bound_socket(SOCK_STREAM, dir.file("other"));
    Child child = start(plan_for({helper("linger")}));
    const Passed passing({child.pidfd(), listening.get(), silent.get()}, "pidfd-3:procd.socket:pidfd-12");

    const auto passed = passed_descriptors();
    REQUIRE(passed.size() == 3);
    CHECK(passed[0].name == "pidfd-3");
    CHECK(*pid_of(passed[0].fd.get()) == child.pid());
    CHECK(passed[1].name == "procd.socket");
    CHECK(passed[2].name == "pidfd-12");
    CHECK_FALSE(is_listening_socket(passed[0].fd.get()));
    CHECK(is_listening_socket(passed[1].fd.get()));
    CHECK_FALSE(is_listening_socket(passed[2].fd.get()));
    for (const auto& one : passed) CHECK((::fcntl(one.fd.get(), F_GETFD) & FD_CLOEXEC) != 0);
    for (const char* name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"})
        CHECK(std::getenv(name) == nullptr);
    CHECK(passed_descriptors().empty());
}

TEST_CASE("without names they are all the same") {
    const Passed passing({STDIN_FILENO}, "");
    const auto passed = passed_descriptors();
    REQUIRE(passed.size() == 1);
    CHECK(passed[0].name == "unknown");
}

TEST_CASE("the name of a stored pidfd tells the process") {
    CHECK(stored_pidfd_name(42) == "pidfd-42");
    CHECK(id_of_stored_pidfd("pidfd-42") == 42);
    CHECK(id_of_stored_pidfd(stored_pidfd_name(INT64_MAX)) == INT64_MAX);
    for (const char* name :
         {"", "procd.socket", "pidfd-", "pidfd-0", "pidfd--1", "pidfd-1x", "pidfd-99999999999999999999"})
        CHECK_FALSE(id_of_stored_pidfd(name).has_value());
}
