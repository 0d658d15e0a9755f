#pragma once

#include <functional>
#include <optional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/unique_fd.hpp"
#include "client/lib/deadline.hpp"
#include "client/lib/result.hpp"

namespace procd::client {

// What the search for the socket looks at; made up in tests.
struct Surroundings {
    uid_t uid = 0;
    std::function<std::optional<std::string>(const char*)> variable;
    std::function<bool(const std::string&)> exists;

    static Surroundings actual();
};

struct SocketChoice {
    std::string path;
    bool named = false;                // by an option or PROCD_SOCKET, so nothing else was looked at
    std::vector<std::string> missing;  // places looked at before, where nothing is
};

// Where procd listens: the path given, else $PROCD_SOCKET, else the user's own socket if it is there
// ($XDG_RUNTIME_DIR/procd/procd.sock, else ~/.local/state/procd/procd.sock; root has no other than the
// machine's), else /run/procd/procd.sock.
SocketChoice choose_socket(const std::optional<std::string>& given, const Surroundings& surroundings);

// Connects, and makes sure that the server is root's or the caller's own: any other user could have put a
// socket there. Non-blocking and close-on-exec.
Result<UniqueFd> connect_socket(const std::string& path, Deadline deadline);

}  // namespace procd::client
