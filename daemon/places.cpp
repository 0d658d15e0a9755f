#include "daemon/places.hpp"

#include "daemon/sys/process_self.hpp"

namespace procd {
namespace {

std::string variable(const char* name) {
    return sys::environment_variable(name).value_or("");
}

std::string state_home() {
    const std::string xdg = variable("XDG_STATE_HOME");
    return xdg.empty() ? variable("HOME") + "/.local/state" : xdg;
}

// Clients are told these paths, and know nothing of procd's working directory.
std::string absolute(const std::string& path) {
    if (path.starts_with('/')) return path;
    const auto here = sys::real_path(".");
    return here ? *here + "/" + path : path;
}

}  // namespace

Places places(const Options& options, bool root) {
    Places places;
    const std::string runtime = variable("XDG_RUNTIME_DIR");
    places.socket = options.socket;
    if (places.socket.empty()) {
        places.make_parents = true;
        if (!options.runtime_dir.empty())
            places.socket = options.runtime_dir + "/procd.sock";
        else if (root)
            places.socket = "/run/procd/procd.sock";
        else
            places.socket =
                (runtime.empty() ? variable("HOME") + "/.local/state" : runtime) + "/procd/procd.sock";
    }
    places.socket = absolute(places.socket);
    if (!options.runtime_dir.empty()) places.runtime_dir = absolute(options.runtime_dir);

    const std::string logs = variable("LOGS_DIRECTORY"), state = variable("STATE_DIRECTORY");
    const std::string beside = places.socket.substr(0, places.socket.rfind('/'));
    if (!options.log_dir.empty())
        places.log_dir = options.log_dir;
    else if (!options.runtime_dir.empty())
        places.log_dir = options.runtime_dir + "/log";
    else if (!options.socket.empty())
        places.log_dir = beside + "/log";
    else if (!logs.empty())
        places.log_dir = logs.substr(0, logs.find(':'));
    else if (!state.empty())
        places.log_dir = state.substr(0, state.find(':')) + "/log";
    else
        places.log_dir = root ? "/var/log/procd" : state_home() + "/procd/log";
    places.log_dir = absolute(places.log_dir);
    return places;
}

std::string journal_of(const std::string& socket, const Places& places) {
    const std::string name = socket.substr(socket.rfind('/') + 1) + ".journal";
    if (places.runtime_dir.empty()) return socket.substr(0, socket.rfind('/') + 1) + name;
    return places.runtime_dir + "/" + name;
}

}  // namespace procd
