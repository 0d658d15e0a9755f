#include "daemon/start.hpp"

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/handover.hpp"
#include "daemon/loop/log.hpp"
#include "daemon/loop/runtime.hpp"
#include "daemon/places.hpp"
#include "daemon/sys/closing.hpp"
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

core::Duration seconds(double value) {
    constexpr double k_longest = 1e9;
    return std::chrono::duration_cast<core::Duration>(
        std::chrono::duration<double>(std::min(value, k_longest)));
}

loop::RuntimeConfig runtime_config(const Options& options) {
    loop::RuntimeConfig config;
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
    return config;
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

int start_and_serve(const Options& options, std::vector<std::string> arguments) {
    if (options.check_state >= 0) return check_state(options.check_state);
    const bool resumes = !options.resume_state.empty();
    // A signal that came while one program became the other waits still.
    if (!resumes) sys::reset_signals();
    loop::open_log();
    Passed passed;
    if (resumes) passed = take_passed(options.resume_state);
    const bool root = sys::own_uid() == 0;
    loop::RuntimeConfig config = runtime_config(options);
    config.arguments = std::move(arguments);
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
    if (options.journal) config.journal_path = journal_of(listener->path(), where);

    loop::Inheritance inheritance;
    sys::ContainmentConfig containment_config{listener->path(), options.cgroup, ""};
    if (passed.snapshot) {
        containment_config.former_place = passed.snapshot->instance.group;
        config.nofile.soft = static_cast<std::uint64_t>(passed.snapshot->instance.nofile_soft);
        config.nofile.hard = static_cast<std::uint64_t>(passed.snapshot->instance.nofile_hard);
    } else {
        inheritance.journal = former_journal(config.journal_path);
        if (inheritance.journal && inheritance.journal->header)
            containment_config.former_place = inheritance.journal->header->group;
        for (sys::PassedDescriptor& stored : given)
            if (const auto id = sys::id_of_stored_pidfd(stored.name))
                inheritance.pidfds.insert_or_assign(*id, std::move(stored.fd));
    }
    auto containment = sys::make_containment(options.containment, containment_config);
    if (!containment) return fail(containment.error());

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
