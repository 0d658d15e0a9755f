#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/socket.h>
#include <sys/un.h>

#include <doctest/doctest.h>

#include "client/lib/connection.hpp"
#include "client/lib/socket.hpp"
#include "client/procctl/failure.hpp"
#include "proto/messages.hpp"

using namespace procd::client;
namespace proto = procd::proto;

namespace {

// A server that says what it is told to, before or after it is asked: all in one thread.
class FakeServer {
  public:
    FakeServer() {
        std::string pattern = (std::filesystem::temp_directory_path() / "procd-client-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        directory_ = pattern;
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path().copy(address.sun_path, sizeof address.sun_path - 1);
        listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listener_.get(), 4) == 0);
    }
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;
    ~FakeServer() { std::filesystem::remove_all(directory_); }

    std::string path() const { return directory_ + "/s"; }
    Connection connect() {
        auto connection = Connection::open(path());
        REQUIRE(connection);
        peer_.reset(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        return *std::move(connection);
    }
    void say(const std::string& text) {
        REQUIRE(::write(peer_.get(), text.data(), text.size()) == ssize_t(text.size()));
    }
    std::string hear(std::vector<procd::UniqueFd>* fds = nullptr) {
        std::string text(std::size_t{1} << 20, '\0');
        char control[CMSG_SPACE(16 * sizeof(int))];
        iovec part{text.data(), text.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        const ssize_t got = ::recvmsg(peer_.get(), &message, MSG_CMSG_CLOEXEC);
        text.resize(got > 0 ? std::size_t(got) : 0);
        const cmsghdr* const header = CMSG_FIRSTHDR(&message);
        if (fds != nullptr && header != nullptr)
            for (std::size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i)
                fds->emplace_back(reinterpret_cast<const int*>(CMSG_DATA(header))[i]);
        return text;
    }
    void say_with_fd(const std::string& text, int fd) {
        alignas(cmsghdr) char control[CMSG_SPACE(sizeof fd)]{};
        iovec part{const_cast<char*>(text.data()), text.size()};
        msghdr message{};
        message.msg_iov = &part;
        message.msg_iovlen = 1;
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        *reinterpret_cast<int*>(CMSG_DATA(header)) = fd;
        REQUIRE(::sendmsg(peer_.get(), &message, 0) == ssize_t(text.size()));
    }
    void hang_up() { peer_.reset(); }

  private:
    std::string directory_;
    procd::UniqueFd listener_, peer_;
};

// Nothing here waits for long, unless it is broken.
Deadline soon() {
    return Deadline::after(10.0);
}

Surroundings made_up(uid_t uid, std::map<std::string, std::string> variables, std::set<std::string> files) {
    return {uid,
            [variables](const char* name) -> std::optional<std::string> {
                const auto found = variables.find(name);
                if (found == variables.end()) return std::nullopt;
                return found->second;
            },
            [files](const std::string& path) { return files.contains(path); }};
}

}  // namespace

TEST_CASE("the socket is searched in this order") {
    const std::map<std::string, std::string> all{
        {"PROCD_SOCKET", "/named"}, {"XDG_RUNTIME_DIR", "/run/user/7"}, {"HOME", "/h"}};
    CHECK(choose_socket("/given", made_up(7, all, {})).path == "/given");
    CHECK(choose_socket(std::nullopt, made_up(7, all, {})).path == "/named");
    auto unnamed = all;
    unnamed.erase("PROCD_SOCKET");
    const std::string runtime = "/run/user/7/procd/procd.sock";
    const std::string state = "/h/.local/state/procd/procd.sock";
    CHECK(choose_socket(std::nullopt, made_up(7, unnamed, {runtime, state})).path == runtime);
    CHECK(choose_socket(std::nullopt, made_up(7, unnamed, {state})).path == state);
    const auto neither = choose_socket(std::nullopt, made_up(7, unnamed, {}));
    CHECK(neither.path == "/run/procd/procd.sock");
    CHECK_FALSE(neither.named);
    CHECK(neither.missing == std::vector{runtime, state});
    CHECK(choose_socket(std::nullopt, made_up(0, unnamed, {runtime, state})).path == "/run/procd/procd.sock");
}

TEST_CASE("a path that no socket can have is refused by name") {
    const auto connection = Connection::open("/" + std::string(107, 'x'));
    REQUIRE_FALSE(connection);
    CHECK(connection.error().kind == Error::Kind::out_of_reach);
    CHECK(connection.error().error == ENAMETOOLONG);
    CHECK(Connection::open("/" + std::string(106, 'x')).error().error == ENOENT);
}

TEST_CASE("a result is decoded, and what a newer server adds is kept for --json only") {
    FakeServer server;
    Connection connection = server.connect();
    server.say(R"({"jsonrpc":"2.0","id":1,"result":{"session":"s7","zebra":1,"apple":[2]}})"
               "\n");
    const auto reply = connection.call<proto::Session>({"n", std::nullopt}, {}, soon());
    REQUIRE(reply);
    CHECK(reply->result.session == "s7");
    CHECK(proto::dump(reply->json()) == R"({"session":"s7","zebra":1,"apple":[2]})");
    CHECK(server.hear() == R"({"jsonrpc":"2.0","id":1,"method":"session","params":{"name":"n"}})"
                           "\n");
}

TEST_CASE("a refusal keeps its word, a new one too") {
    FakeServer server;
    Connection connection = server.connect();
    server.say(
        R"({"id":1,"error":{"code":1,"message":"no such process: x","data":{"kind":"no_such_process"}}})"
        "\n");
    const auto first = connection.call<proto::Status>({}, {}, soon());
    REQUIRE_FALSE(first);
    CHECK(first.error().is(proto::ErrorKind::no_such_process));
    CHECK(first.error().message == "no such process: x");
    server.say(R"({"id":2,"error":{"code":1,"message":"it rains","data":{"kind":"bad_weather"}}})"
               "\n");
    const auto second = connection.call<proto::Status>({}, {}, soon());
    CHECK(second.error().kind == Error::Kind::refused);
    CHECK(second.error().refusal == "bad_weather");
}

TEST_CASE("replies come in any order, notifications in between are kept") {
    FakeServer server;
    Connection connection = server.connect();
    const auto first = connection.send<proto::Session>({});
    const auto second = connection.send<proto::Session>({});
    REQUIRE((first && second));
    server.say(R"({"id":2,"result":{"session":"s2"}})"
               "\n"
               R"({"method":"event","params":{"seq":5}})"
               "\n"
               R"({"id":1,"result":{"session":"s1"}})"
               "\n");
    CHECK(connection.receive<proto::Session>(*first, soon())->result.session == "s1");
    CHECK(connection.arrived(*second));
    CHECK(connection.receive<proto::Session>(*second, soon())->result.session == "s2");
    const auto event = connection.next_notification();
    REQUIRE(event);
    CHECK(event->method == "event");
    CHECK(event->params["seq"] == 5);
    CHECK_FALSE(connection.next_notification());
}

TEST_CASE("descriptors travel both ways with their line") {
    FakeServer server;
    Connection connection = server.connect();
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const procd::UniqueFd read_end(ends[0]);
    const procd::UniqueFd write_end(ends[1]);
    const std::vector<int> sent{read_end.get(), write_end.get()};
    const auto listing = connection.send<proto::List>({}, sent);
    const auto asking = connection.send<proto::Sentinel>({});
    REQUIRE((listing && asking));
    server.say(R"({"id":1,"result":{"processes":[],"seq":1}})"
               "\n");
    server.say_with_fd(R"({"id":2,"result":{"fd":0}})"
                       "\n",
                       write_end.get());

    const auto listed = connection.receive<proto::List>(*listing, soon());
    REQUIRE(listed);
    CHECK(listed->fds.empty());
    const auto sentinel = connection.receive<proto::Sentinel>(*asking, soon());
    REQUIRE(sentinel);
    REQUIRE(sentinel->fds.size() == 1);
    CHECK(::write(sentinel->fds[0].get(), "x", 1) == 1);
    std::vector<procd::UniqueFd> received;
    CHECK(server.hear(&received).find("\"list\"") != std::string::npos);
    CHECK(received.size() == 2);
}

TEST_CASE("a request that is too long is refused here") {
    FakeServer server;
    Connection connection = server.connect();
    const auto reply = connection.call<proto::Rename>({{}, std::string(proto::k_max_line_bytes, 'x')});
    REQUIRE_FALSE(reply);
    CHECK(reply.error().is(proto::ErrorKind::too_large));
    server.say(R"({"id":2,"result":{"session":"s1"}})"
               "\n");
    CHECK(connection.call<proto::Session>({}, {}, soon()));
}

TEST_CASE("time runs out, and a late reply is dropped") {
    FakeServer server;
    Connection connection = server.connect();
    const auto late = connection.call<proto::Session>({}, {}, Deadline::after(0.01));
    REQUIRE_FALSE(late);
    CHECK(late.error().kind == Error::Kind::timed_out);
    server.say(R"({"id":1,"result":{"session":"s1"}})"
               "\n"
               R"({"id":2,"result":{"session":"s2"}})"
               "\n");
    CHECK(connection.call<proto::Session>({}, {}, soon())->result.session == "s2");
}

TEST_CASE("a server that hangs up or talks nonsense is told apart") {
    {
        FakeServer server;
        Connection connection = server.connect();
        server.say(R"({"id":1,"result":{"session":"s1"}})"
                   "\n");
        server.hang_up();
        const auto told = connection.call<proto::Session>({}, {}, soon());
        REQUIRE_FALSE(told);  // it cannot have been asked
        CHECK(told.error().kind == Error::Kind::out_of_reach);
    }
    {
        FakeServer server;
        Connection connection = server.connect();
        server.say(
            R"({"id":null,"error":{"code":1,"message":"too many connections","data":{"kind":"limit"}}})"
            "\n");
        server.hang_up();
        CHECK(connection.call<proto::Session>({}, {}, soon()).error().is(proto::ErrorKind::limit));
    }
    for (const char* nonsense : {"HTTP/1.1 400 Bad Request\r\n", "[]\n",
                                 R"({"id":1,"result":{"session":7}})"
                                 "\n"}) {
        FakeServer server;
        Connection connection = server.connect();
        server.say(nonsense);
        CHECK(connection.call<proto::Session>({}, {}, soon()).error().kind == Error::Kind::protocol);
    }
}

TEST_CASE("exit statuses of failures") {
    using procctl::Failure;
    const auto exec_failed = [](int error, const char* stage) {
        proto::WireError wire{proto::ErrorKind::exec_failed, "no", {}};
        wire.details["errno"] = error;
        wire.details["stage"] = stage;
        return Failure::from({Error::Kind::refused, "no", "exec_failed", proto::to_json(wire), 0, {}}, false)
            .status;
    };
    CHECK(exec_failed(ENOENT, "exec") == 127);
    CHECK(exec_failed(ENOTDIR, "exec") == 127);
    CHECK(exec_failed(EACCES, "exec") == 126);
    CHECK(exec_failed(ENOENT, "chdir") == 126);
    CHECK(Failure::refused(proto::ErrorKind::limit, "no").status == 1);
    CHECK(Failure::from({Error::Kind::timed_out, "t", {}, {}, 0, {}}, false).status == 124);
    const auto nobody =
        Failure::from({Error::Kind::out_of_reach, "no procd at /x", {}, {}, ENOENT, "/x"}, true);
    CHECK(nobody.status == 125);
    CHECK(nobody.message.find("procd -s /x &") != std::string::npos);
}
