#include "client/lib/socket.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace procd::client {
namespace {

constexpr const char* k_machine_socket = "/run/procd/procd.sock";
constexpr std::size_t k_longest_path = sizeof(sockaddr_un::sun_path) - 1;
constexpr timespec k_full_backlog_pause{0, 5'000'000};

Error out_of_reach(const std::string& path, const std::string& what, int error) {
    return Error{Error::Kind::out_of_reach, what, {}, {}, error, path};
}

Error failed(const std::string& path, int error) {
    return out_of_reach(path, "no procd at " + path + ": " + std::strerror(error), error);
}

}  // namespace

Error Error::refused(proto::ErrorKind kind, std::string message) {
    auto object = proto::to_json(proto::WireError{kind, message, proto::OrderedJson::object()});
    return Error{
        Kind::refused, std::move(message), std::string(proto::to_text(kind)), std::move(object), 0, {}};
}

Surroundings Surroundings::actual() {
    return Surroundings{::geteuid(),
                        [](const char* name) -> std::optional<std::string> {
                            const char* const value = std::getenv(name);
                            if (value == nullptr || *value == '\0') return std::nullopt;
                            return value;
                        },
                        [](const std::string& path) {
                            struct stat status {};
                            return ::stat(path.c_str(), &status) == 0;
                        }};
}

SocketChoice choose_socket(const std::optional<std::string>& given, const Surroundings& surroundings) {
    if (given) return {*given, true, {}};
    if (const auto named = surroundings.variable("PROCD_SOCKET")) return {*named, true, {}};
    std::vector<std::string> own;
    if (surroundings.uid != 0) {
        if (const auto runtime = surroundings.variable("XDG_RUNTIME_DIR"))
            own.push_back(*runtime + "/procd/procd.sock");
        if (const auto home = surroundings.variable("HOME"))
            own.push_back(*home + "/.local/state/procd/procd.sock");
    }
    for (const std::string& path : own)
        if (surroundings.exists(path)) return {path, false, {}};
    return {k_machine_socket, false, std::move(own)};
}

Result<UniqueFd> connect_socket(const std::string& path, Deadline deadline) {
    if (path.empty()) return out_of_reach(path, "the socket's path is empty", EINVAL);
    if (path.size() > k_longest_path)
        return out_of_reach(
            path, "the socket's path is longer than " + std::to_string(k_longest_path) + " bytes: " + path,
            ENAMETOOLONG);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());

    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return failed(path, errno);
    while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        // EAGAIN: the backlog is full; nothing tells when it no longer is.
        if (errno != EAGAIN && errno != EINTR) return failed(path, errno);
        if (deadline.passed())
            return Error{Error::Kind::timed_out, "timed out connecting to " + path, {}, {}, ETIMEDOUT, path};
        ::nanosleep(&k_full_backlog_pause, nullptr);
    }

    ucred server{};
    socklen_t size = sizeof server;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &server, &size) != 0) return failed(path, errno);
    if (server.uid != 0 && server.uid != ::geteuid())
        return out_of_reach(path,
                            "who listens at " + path + " has uid " + std::to_string(server.uid) +
                                ", neither root nor yours: not trusted",
                            EPERM);
    return fd;
}

}  // namespace procd::client
