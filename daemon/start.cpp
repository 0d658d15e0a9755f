#include "daemon/start.hpp"

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "daemon/loop/log.hpp"
#include "daemon/loop/runtime.hpp"
#include "daemon/sys/containment.hpp"
#include "daemon/sys/limits.hpp"
#include "daemon/sys/listener.hpp"
#include "daemon/sys/log_file.hpp"
#include "daemon/sys/notify.hpp"
#include "daemon/sys/process_self.hpp"
#include "daemon/sys/signals.hpp"
#include "daemon/sys/users.hpp"

namespace procd {
namespace {

struct Places {
    std::string socket;
    std::string log_dir;
    bool make_parents = false;
};

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

sys::ListenerConfig listener_config(const Options& options, const Places& places, bool root) {
    sys::ListenerConfig config;
    config.path = places.socket;
    config.make_parents = places.make_parents;
    const std::string mode = options.socket_mode.empty() ? (root ? "0660" : "0600") : options.socket_mode;
    config.mode = static_cast<mode_t>(std::stoul(mode, nullptr, 8));
    config.group = options.socket_group;
    if (config.group.empty() && root && sys::gid_of_group("procd")) config.group = "procd";
    return config;
}

Result<sys::Listener> open_listener(const Options& options, const Places& places, bool root) {
    if (options.socket.empty()) {
        auto passed = sys::listen_fds();
        if (!passed.empty()) return sys::Listener::adopt(std::move(passed.front()));
    }
    return sys::Listener::open(listener_config(options, places, root));
}

core::Duration seconds(double value) {
    constexpr double k_longest = 1e9;
    return std::chrono::duration_cast<core::Duration>(
        std::chrono::duration<double>(std::min(value, k_longest)));
}

int fail(const SysError& error) {
    std::fprintf(stderr, "procd: %s\n", error.message().c_str());
    return 1;
}

}  // namespace

int start_and_serve(const Options& options) {
    sys::reset_signals();
    const bool root = sys::own_uid() == 0;
    loop::RuntimeConfig config;
    const auto nofile = sys::raise_nofile();
    if (!nofile) return fail(nofile.error());
    config.nofile = *nofile;
    auto signals = sys::open_signals();
    if (!signals) return fail(signals.error());

    const Places where = places(options, root);
    auto listener = open_listener(options, where, root);
    if (!listener) return fail(listener.error());
    auto log_directory = sys::LogDirectory::open(where.log_dir);
    if (!log_directory) return fail(log_directory.error());
    auto containment =
        sys::make_containment(options.containment, sys::ContainmentConfig{listener->path(), ""});
    if (!containment) return fail(containment.error());

    config.core.grace = seconds(options.grace);
    config.core.drain = seconds(options.drain);
    config.core.retained = options.retain;
    config.core.max_processes = options.max_processes;
    config.core.max_waits = options.max_waits;
    config.core.max_record_bytes = options.max_record_bytes;
    config.core.own_uid = sys::own_uid();
    config.max_connections = options.max_connections;
    config.max_descriptors = options.max_descriptors;
    config.default_log = sys::LogLimits{options.log_max, options.log_keep};
    config.version = PROCD_VERSION;
    config.allow_confined = options.allow_confined;

    loop::open_log();
    loop::Runtime runtime(std::move(config), std::move(*listener), std::move(*containment),
                          std::move(*signals), std::move(*log_directory));
    runtime.run([&] {
        if (options.ready_fd >= 0) sys::tell_ready(options.ready_fd);
    });
    loop::log_info("stopped");
    return 0;
}

}  // namespace procd
