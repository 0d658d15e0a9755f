#include "daemon/loop/launch_plan.hpp"

#include <algorithm>
#include <cerrno>
#include <variant>

#include "daemon/loop/descriptor.hpp"
#include "daemon/sys/limits.hpp"
#include "daemon/sys/users.hpp"

namespace procd::loop {
namespace {

constexpr const char* k_default_path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// What is given, less PROCD_*, which is procd's own to say.
std::vector<std::string> environment(const core::Launch& action, const std::string& socket_path) {
    std::vector<std::string> env;
    if (action.spec->env) {
        for (const std::string& entry : *action.spec->env)
            if (!entry.starts_with("PROCD_")) env.push_back(entry);
    } else {
        env.emplace_back(k_default_path);
        if (const auto user = sys::user_of(action.uid)) {
            env.push_back("HOME=" + user->home);
            env.push_back("USER=" + user->name);
            env.push_back("LOGNAME=" + user->name);
            env.push_back("SHELL=" + user->shell);
        }
    }
    env.push_back("PROCD_ID=" + std::to_string(action.id));
    env.push_back("PROCD_NAME=" + action.name);
    env.push_back("PROCD_SOCKET=" + socket_path);
    return env;
}

std::vector<sys::ResourceLimit> limits(const core::LaunchSpec& spec) {
    std::vector<sys::ResourceLimit> result;
    for (const core::ResourceLimit& limit : spec.limits)
        if (const auto resource = sys::resource_named(limit.name))
            result.push_back({*resource, limit.soft, limit.hard, limit.inherited});
    return result;
}

// One stream's source. A log is made at the first stream that wants it; both streams share it.
struct SourceOf {
    Children::Launching& launching;
    Logs& logs;
    std::size_t stream;
    int problem = 0;  // errno

    sys::StdioSource log(std::optional<ChildLog>& log, sys::LogKind kind) {
        if (!log) {
            auto made = logs.make(launching.action, kind);
            if (!made) {
                problem = made.error().error;
                launching.log_problem = made.error().operation + " " + made.error().subject;
                return -1;
            }
            log = std::move(*made);
        }
        return log->fd();
    }
    sys::StdioSource log() { return log(launching.log, sys::LogKind::output); }

    sys::StdioSource operator()(const core::ToNull&) { return -1; }
    sys::StdioSource operator()(const core::ToLog&) { return log(); }
    sys::StdioSource operator()(const core::ToStdout&) { return sys::SameAsStdout{}; }
    sys::StdioSource operator()(const core::ToOwnLog&) {
        return log(launching.log_stderr, sys::LogKind::errors);
    }
    sys::StdioSource operator()(const core::ToDescriptor& target) { return fd_of(target.descriptor); }
    sys::StdioSource operator()(const core::ToFile& target) {
        return sys::FileToOpen{target.path, stream != 0, target.append};
    }
    sys::StdioSource operator()(const core::ToOwners&) {
        const auto& owners = launching.of_owner[stream];
        return owners ? sys::StdioSource(fd_of(owners)) : log();
    }
};

}  // namespace

std::variant<sys::LaunchPlan, sys::SpawnError> prepare_plan(Children::Launching& launching,
                                                            const ChildrenConfig& config, Logs& logs) {
    const core::LaunchSpec& spec = *launching.action.spec;
    if (spec.lost_descriptors) {
        launching.log_problem = "use the descriptors given, which ended with the procd that held them,";
        return sys::SpawnError{sys::Stage::prepare, EBADF, false};
    }
    sys::LaunchPlan plan;
    plan.argv = spec.command;
    plan.env = environment(launching.action, config.socket_path);
    plan.cwd = spec.cwd.value_or("/");
    plan.umask = spec.umask;
    plan.limits = limits(spec);
    plan.no_new_privs = spec.identity.no_new_privs;
    plan.cgroup_fd = launching.group ? launching.group.get() : -1;
    if (config.become_caller) {
        const std::vector<gid_t> groups(spec.identity.groups.begin(), spec.identity.groups.end());
        plan.become = sys::Credentials{spec.identity.uid, spec.identity.gid, groups};
    }
    for (std::size_t stream = 0; stream < plan.stdio.size(); ++stream) {
        SourceOf source{launching, logs, stream};
        plan.stdio[stream] = std::visit(source, spec.stdio[stream]);
        if (source.problem != 0) return sys::SpawnError{sys::Stage::prepare, source.problem, false};
    }
    for (const core::ResourcePtr& descriptor : spec.descriptors) plan.extra_fds.push_back(fd_of(descriptor));
    if (spec.terminal) plan.terminal = fd_of(spec.terminal);
    return plan;
}

}  // namespace procd::loop
