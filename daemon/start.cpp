#include "daemon/start.hpp"

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "daemon/loop/log.hpp"
#include "daemon/loop/runtime.hpp"
#include "daemon/state/journal_text.hpp"
#include "daemon/state/snapshot.hpp"
#include "daemon/sys/closing.hpp"
#include "daemon/sys/containment.hpp"
#include "daemon/sys/limits.hpp"
#include "daemon/sys/listener.hpp"
#include "daemon/sys/log_file.hpp"
#include "daemon/sys/notify.hpp"
#include "daemon/sys/process_self.hpp"
#include "daemon/sys/replace.hpp"
#include "daemon/sys/signals.hpp"
#include "daemon/sys/state_file.hpp"
#include "daemon/sys/users.hpp"

namespace procd {
namespace {

struct Places {
    std::string socket;
    std::string log_dir;
    std::string runtime_dir;  // of the journal; empty: the socket's
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

// A socket that was passed is told by what it is: descriptors that an earlier procd had stored come with it.
Result<sys::Listener> open_listener(const Options& options, const Places& places, bool root,
                                    std::vector<sys::PassedDescriptor>& passed) {
    for (sys::PassedDescriptor& one : passed) {
        if (options.socket.empty() && sys::is_listening_socket(one.fd.get()))
            return sys::Listener::adopt(std::move(one.fd));
    }
    return sys::Listener::open(listener_config(options, places, root));
}

Result<sys::Listener> resume_listener(const Options& options, const Places& places, bool root, int socket,
                                      int lock) {
    if (lock < 0) return sys::Listener::adopt(UniqueFd(socket));
    return sys::Listener::resume(listener_config(options, places, root), UniqueFd(socket), UniqueFd(lock));
}

// Beside the socket, or in the runtime directory under the socket's name.
std::string journal_of(const std::string& socket, const Places& places) {
    const std::string name = socket.substr(socket.rfind('/') + 1) + ".journal";
    if (places.runtime_dir.empty()) return socket.substr(0, socket.rfind('/') + 1) + name;
    return places.runtime_dir + "/" + name;
}

// What the procd before wrote down. Whatever is wrong with it, procd starts.
std::optional<state::Journal> former_journal(const std::string& path) {
    if (path.empty()) return std::nullopt;
    auto text = sys::read_state_file(path);
    if (!text) {
        loop::log_warning("the journal of the procd before is not read: " + text.error().message());
        return std::nullopt;
    }
    if (!*text) return std::nullopt;
    state::Journal journal = state::read_journal(**text);
    if (journal.header && !state::is_readable(*journal.header)) {
        const std::string aside = path + ".version-" + std::to_string(journal.header->version);
        (void)sys::rename_file(path, aside);
        loop::log_warning("the journal " + path +
                          " is of a newer procd's and cannot be read: it is put aside as " + aside +
                          ", and what that procd started is ended");
        journal.saved = {};
        return journal;
    }
    if (journal.torn)
        loop::log_warning("the last line of the journal " + path +
                          " is torn: it was being written when procd ended");
    else if (journal.broken > 0)
        loop::log_warning("of the journal " + path + " " + std::to_string(journal.broken) +
                          " lines cannot be used (" + journal.why + "); the others are");
    return journal;
}

core::Duration seconds(double value) {
    constexpr double k_longest = 1e9;
    return std::chrono::duration_cast<core::Duration>(
        std::chrono::duration<double>(std::min(value, k_longest)));
}

// What takes longer to close is closed by the kernel when procd has ended.
constexpr std::chrono::milliseconds k_last_closes{200};

// The exit status of a procd that has left everything to the next one: whoever sees it starts that (the
// units' RestartForceExitStatus=).
constexpr int k_left_to_the_next = 3;

int fail(const SysError& error) {
    std::fprintf(stderr, "procd: %s\n", error.message().c_str());
    return 1;
}

}  // namespace

// Whether this program could go on from there, for whoever asks.
int check_state(int fd) {
    const auto text = sys::read_state_memory(fd);
    const auto snapshot = text ? state::snapshot_from(*text)
                               : std::variant<state::Snapshot, std::string>(text.error().message());
    if (const auto* why = std::get_if<std::string>(&snapshot)) {
        std::printf("%s\n", why->c_str());
        return 1;
    }
    std::printf("%s\n", PROCD_VERSION);
    return 0;
}

// What the program before this one in the same process passed.
struct Passed {
    int listener = -1, lock = -1;
    std::optional<state::Snapshot> snapshot;  // none: it cannot be read
};

Passed take_passed(const std::string& text) {
    Passed passed;
    int memory = -1;
    std::sscanf(text.c_str(), "%d,%d,%d", &memory, &passed.listener, &passed.lock);
    const UniqueFd owned(memory);
    const auto state = sys::read_state_memory(memory);
    auto snapshot = state ? state::snapshot_from(*state)
                          : std::variant<state::Snapshot, std::string>(state.error().message());
    if (auto* whole = std::get_if<state::Snapshot>(&snapshot)) {
        passed.snapshot = std::move(*whole);
    } else {
        loop::log_error("the state that was passed cannot be read (" + std::get<std::string>(snapshot) +
                        "): what the journal says must do, and connections are lost");
        sys::close_others({passed.listener, passed.lock});
    }
    return passed;
}

int start_and_serve(const Options& options, std::vector<std::string> arguments) {
    if (options.check_state >= 0) return check_state(options.check_state);
    const bool resumes = !options.resume_state.empty();
    // A signal that came while one program became the other waits still.
    if (!resumes) sys::reset_signals();
    if (resumes) loop::open_log();
    Passed passed;
    if (resumes) passed = take_passed(options.resume_state);
    const bool root = sys::own_uid() == 0;
    loop::RuntimeConfig config;
    const auto nofile = sys::raise_nofile();
    if (!nofile) return fail(nofile.error());
    config.nofile = *nofile;
    auto signals = sys::open_signals();
    if (!signals) return fail(signals.error());

    const Places where = places(options, root);
    auto given = sys::passed_descriptors();
    auto listener = resumes ? resume_listener(options, where, root, passed.listener, passed.lock)
                            : open_listener(options, where, root, given);
    if (!listener) return fail(listener.error());
    auto log_directory = sys::LogDirectory::open(where.log_dir);
    if (!log_directory) return fail(log_directory.error());
    if (!resumes) loop::open_log();
    const std::string journal_path = options.journal ? journal_of(listener->path(), where) : "";
    loop::Inheritance inheritance;
    if (!passed.snapshot) inheritance.journal = former_journal(journal_path);
    for (sys::PassedDescriptor& stored : given)
        if (const auto id = sys::id_of_stored_pidfd(stored.name))
            inheritance.pidfds.insert_or_assign(*id, std::move(stored.fd));
    sys::ContainmentConfig containment_config{listener->path(), options.cgroup, ""};
    if (inheritance.journal && inheritance.journal->header)
        containment_config.former_place = inheritance.journal->header->group;
    if (passed.snapshot) {
        containment_config.former_place = passed.snapshot->instance.group;
        config.nofile.soft = static_cast<std::uint64_t>(passed.snapshot->instance.nofile_soft);
        config.nofile.hard = static_cast<std::uint64_t>(passed.snapshot->instance.nofile_hard);
    }
    auto containment = sys::make_containment(options.containment, containment_config);
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

    config.journal_path = journal_path;
    config.arguments = std::move(arguments);
    bool stopped = true;
    {
        loop::Runtime runtime(std::move(config), std::move(*listener), std::move(*containment),
                              std::move(*signals), std::move(*log_directory));
        if (passed.snapshot)
            runtime.thaw(std::move(*passed.snapshot));
        else
            runtime.inherit(std::move(inheritance));
        stopped = runtime.run([&] {
            if (options.ready_fd >= 0 && !resumes) sys::tell_ready(options.ready_fd);
        });
        if (stopped) loop::log_info("stopped");
    }
    sys::await_closing(k_last_closes);
    return stopped ? 0 : k_left_to_the_next;
}

}  // namespace procd
