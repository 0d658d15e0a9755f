#include "daemon/sys/spawn.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <string_view>
#include <sys/resource.h>
#include <sys/wait.h>

#include "daemon/sys/child.hpp"
#include "daemon/sys/clone.hpp"
#include "daemon/sys/pidfd.hpp"
#include "daemon/sys/procfs.hpp"

namespace procd::sys {
namespace {

constexpr std::string_view k_default_path = "/bin:/usr/bin";  // where the child has no PATH

constexpr auto k_no_id = static_cast<id_t>(-1);

static_assert(sizeof(std::atomic<pid_t>) == sizeof(pid_t) && std::atomic<pid_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<int>) == sizeof(int));  // the kernel writes both

// The C arrays that a ChildPlan points into.
struct Prepared {
    std::vector<char*> argv;
    std::vector<char*> envp;
    std::vector<std::string> candidate_paths;
    std::vector<const char*> candidates;
    std::vector<int> sources;
    std::vector<int> moved;
    UniqueFd null;  // where the plan brings none
    ChildPlan child;
};

std::vector<char*> to_c_array(const std::vector<std::string>& strings) {
    std::vector<char*> array;
    array.reserve(strings.size() + 1);
    for (const std::string& text : strings) array.push_back(const_cast<char*>(text.c_str()));
    array.push_back(nullptr);
    return array;
}

std::string_view path_of(const std::vector<std::string>& env) {
    for (const std::string_view entry : env) {
        if (entry.substr(0, 5) == "PATH=") return entry.substr(5);
    }
    return k_default_path;
}

// Where to look for command, as execvp(3) does: an empty element of PATH is the current directory.
std::vector<std::string> candidates_for(const std::string& command, std::string_view path) {
    if (command.empty() || command.find('/') != std::string::npos) return {command};
    std::vector<std::string> found;
    for (;;) {
        const std::size_t colon = path.find(':');
        const std::string_view directory = path.substr(0, colon);
        found.push_back(directory.empty() ? command : std::string(directory) + "/" + command);
        if (colon == std::string_view::npos) return found;
        path.remove_prefix(colon + 1);
    }
}

unsigned highest_descriptor() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
    return static_cast<unsigned>(std::min<rlim_t>(limit.rlim_max, 1U << 20));
}

// 0, or the errno.
int prepare_stdio(const LaunchPlan& plan, Prepared& prepared) {
    for (std::size_t i = 0; i < plan.stdio.size(); ++i) {
        const StdioSource& source = plan.stdio[i];
        int fd = -1;
        if (const int* given = std::get_if<int>(&source)) {
            fd = *given;
            if (fd < 0) fd = plan.null_device;
            if (fd < 0) {
                if (!prepared.null) prepared.null = open_null_device();
                if (!prepared.null) return errno;
                fd = prepared.null.get();
            }
        } else if (const auto* file = std::get_if<FileToOpen>(&source)) {
            const int write_flags = O_WRONLY | O_CREAT | (file->append ? O_APPEND : O_TRUNC);
            prepared.child.files[i] = {file->path.c_str(), file->write ? write_flags : O_RDONLY};
        } else {
            if (i != 2) return EINVAL;
            prepared.child.stderr_is_stdout = true;
        }
        prepared.sources.push_back(fd);
    }
    return 0;
}

int prepare(const LaunchPlan& plan, LaunchProgress& progress, Prepared& prepared) {
    if (plan.argv.empty()) return EINVAL;
    // To setresuid and setresgid that means "leave it as it is", which here would be procd's own.
    if (plan.become && (plan.become->uid == k_no_id || plan.become->gid == k_no_id)) return EINVAL;
    ChildPlan& child = prepared.child;
    prepared.argv = to_c_array(plan.argv);
    prepared.envp = to_c_array(plan.env);
    prepared.candidate_paths = candidates_for(plan.argv.front(), path_of(plan.env));
    for (const std::string& path : prepared.candidate_paths) prepared.candidates.push_back(path.c_str());
    prepared.candidates.push_back(nullptr);
    if (const int error = prepare_stdio(plan, prepared); error != 0) return error;
    for (const int fd : plan.extra_fds) {
        if (fd < 0) return EBADF;
        prepared.sources.push_back(fd);
    }
    prepared.moved.assign(prepared.sources.size(), -1);

    child.argv = prepared.argv.data();
    child.envp = prepared.envp.data();
    child.candidates = prepared.candidates.data();
    child.searched = plan.argv.front().find('/') == std::string::npos;
    child.cwd = plan.cwd.c_str();
    child.umask = plan.umask;
    child.limits = plan.limits.data();
    child.limit_count = plan.limits.size();
    child.become = plan.become ? &*plan.become : nullptr;
    child.no_new_privs = plan.no_new_privs;
    child.sources = prepared.sources.data();
    child.moved = prepared.moved.data();
    child.source_count = static_cast<int>(prepared.sources.size());
    child.terminal = plan.terminal;
    child.cgroup_fd = plan.cgroup_fd;
    child.close_bound = highest_descriptor();
    child.progress = &progress;
    return 0;
}

long clone_child(int cgroup_fd, LaunchProgress& progress, ChildPlan& child, const ChildStack& stack) {
    clone_args arguments{};
    arguments.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CLEAR_SIGHAND;
    arguments.pidfd = reinterpret_cast<std::uint64_t>(&progress.pidfd);
    arguments.parent_tid = reinterpret_cast<std::uint64_t>(&progress.pid);
    arguments.exit_signal = SIGCHLD;
    arguments.stack = stack.base();
    arguments.stack_size = stack.size();
    if (cgroup_fd >= 0) {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = static_cast<std::uint64_t>(cgroup_fd);
    }
    const AllSignalsBlocked blocked;
    return clone_on_stack(arguments, child_main, &child);
}

// From here on nobody else uses the pidfd. cloned: whether the kernel really gave one (a clone that fails
// late may have written a number all the same).
UniqueFd take_pidfd(LaunchProgress& progress, bool cloned) {
    const std::lock_guard guard(progress.pidfd_lock);
    progress.over = true;
    const int fd = progress.pidfd.exchange(-1);
    return UniqueFd(cloned ? fd : -1);
}

void reap_failed(const UniqueFd& pidfd) {
    siginfo_t info{};
    while (::waitid(P_PIDFD, static_cast<id_t>(pidfd.get()), &info, WEXITED) != 0 && errno == EINTR) {
    }
}

// The caller of a vfork wakes when the child leaves the shared memory: at its exec or in its exit. Both look
// the same from here; a process that is exiting and has never exec'd tells them apart.
bool died_before_exec(const Result<ProcessStat>& stat) {
    return stat && stat->is_exiting() && stat->never_execed();
}

}  // namespace

UniqueFd open_null_device() {
    return UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY));
}

const char* to_text(Stage stage) {
    switch (stage) {
        case Stage::prepare:
            return "prepare";
        case Stage::clone:
            return "clone";
        case Stage::session:
            return "session";
        case Stage::terminal:
            return "controlling terminal";
        case Stage::descriptors:
            return "descriptors";
        case Stage::limits:
            return "limits";
        case Stage::groups:
            return "groups";
        case Stage::user:
            return "user";
        case Stage::chdir:
            return "chdir";
        case Stage::open_stdin:
            return "open stdin";
        case Stage::open_stdout:
            return "open stdout";
        case Stage::open_stderr:
            return "open stderr";
        case Stage::exec:
            return "exec";
    }
    return "?";
}

std::variant<Spawned, SpawnError> spawn(const LaunchPlan& plan, LaunchProgress& progress) {
    Prepared prepared;
    if (const int error = prepare(plan, progress, prepared); error != 0) {
        take_pidfd(progress, false);
        return SpawnError{Stage::prepare, error};
    }
    ChildStack& stack = ChildStack::of_thread();
    if (!stack) {
        take_pidfd(progress, false);
        return SpawnError{Stage::prepare, ENOMEM};
    }

    // First the stage, then the flag; who abandons does it the other way round: one of the two sees the
    // other.
    progress.stage.store(Stage::clone);
    if (progress.abandoned.load()) {
        take_pidfd(progress, false);
        return SpawnError{Stage::clone, 0, true};
    }
    const long cloned = clone_child(plan.cgroup_fd, progress, prepared.child, stack);
    UniqueFd pidfd = take_pidfd(progress, cloned > 0);
    if (cloned < 0) {
        progress.pid.store(0);
        return SpawnError{Stage::clone, static_cast<int>(-cloned)};
    }

    const pid_t pid = static_cast<pid_t>(cloned);
    const Stage reached = progress.stage.load();
    const int error = prepared.child.error;
    if (error != 0 || reached != Stage::exec) {
        reap_failed(pidfd);
        return SpawnError{reached, error, error == 0};
    }
    const auto stat = read_stat(pid);
    if (died_before_exec(stat)) {
        reap_failed(pidfd);
        return SpawnError{Stage::exec, 0, true};
    }
    return Spawned{pid, std::move(pidfd), stat ? stat->start_time : 0};
}

Result<void> probe_birth(int cgroup_fd) {
    LaunchPlan plan;
    plan.argv = {"/"};  // a directory: the exec fails, and by then the child has been born in the group
    plan.cgroup_fd = cgroup_fd;
    LaunchProgress progress;
    const auto outcome = spawn(plan, progress);
    const auto* failed = std::get_if<SpawnError>(&outcome);
    if (failed != nullptr && failed->stage < Stage::session) {
        return SysError{"start a process in the group", "", failed->error};
    }
    return {};
}

}  // namespace procd::sys
