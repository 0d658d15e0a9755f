#include "client/procctl/launch.hpp"

#include "client/procctl/inherited.hpp"

namespace procctl {
namespace {

namespace proto = procd::proto;

std::optional<proto::StdioTarget> optional_target(const std::optional<std::string>& text) {
    if (!text) return std::nullopt;
    return stdio_target(*text);
}

std::optional<proto::Seconds> optional_seconds(const std::optional<double>& value) {
    if (!value) return std::nullopt;
    return proto::Seconds{*value};
}

std::optional<proto::LogParams> log_params(const Options& options) {
    proto::LogParams log;
    if (options.log_via) log.via = proto::enum_value<proto::LogVia>(*options.log_via);
    if (options.log_max) log.max = proto::ByteCount{*options.log_max};
    if (options.log_keep) log.keep = proto::PieceCount{*options.log_keep};
    if (options.log_retain) log.retain = true;
    if (!log.via && !log.max && !log.keep && !log.retain) return std::nullopt;
    return log;
}

}  // namespace

proto::StdioTarget stdio_target(const std::string& text) {
    using Kind = proto::StdioTarget::Kind;
    if (text == "null") return {Kind::null, 0, {}, false};
    if (text == "log") return {Kind::log, 0, {}, false};
    if (text == "stdout") return {Kind::as_stdout, 0, {}, false};
    if (text == "separate") return {Kind::separate, 0, {}, false};
    return {Kind::file, 0, text, false};
}

Outcome<Launch> describe_launch(const Options& options, Owner owner) {
    auto cwd = absolute_path(options.cwd);
    if (!cwd) return cwd.error();

    Launch launch;
    proto::CreateParams& params = launch.params;
    for (const std::string& word : options.words) params.command.push_back({word});
    params.name = options.name;
    params.daemon = options.daemon;
    params.owner = owner.ref;
    params.cwd = proto::Bytes{*std::move(cwd)};
    if (auto env = environment_for(own_environment(), options.env, options.clean_env))
        params.env = proto::Environment{*std::move(env)};
    params.umask = own_umask();
    params.rlimits = own_limits();
    if (options.in || options.out || options.err)
        params.stdio = proto::Stdio{optional_target(options.in), optional_target(options.out),
                                    optional_target(options.err)};
    params.log = log_params(options);
    params.user = options.user;
    params.grace = optional_seconds(options.grace);
    if (options.kill_mode) params.kill_mode = proto::enum_value<proto::KillMode>(*options.kill_mode);
    if (options.leftovers) params.leftovers = proto::enum_value<proto::Leftovers>(*options.leftovers);
    if (options.unique) params.unique = true;

    if (owner.pidfd) launch.fds.push_back(owner.pidfd.get());
    launch.owner = std::move(owner);
    return launch;
}

void pass_own_streams(Launch& launch) {
    if (!launch.params.stdio) launch.params.stdio.emplace();
    proto::Stdio& stdio = *launch.params.stdio;
    int fd = 0;
    for (auto* target : {&stdio.in, &stdio.out, &stdio.err}) {
        const int own = fd++;
        // Who says how it is logged wants it logged.
        if (*target || (launch.params.log && own != 0)) continue;
        if (stream_was_open(own)) {
            *target = proto::StdioTarget{proto::StdioTarget::Kind::fd, launch.fds.size(), {}, false};
            launch.fds.push_back(own);
        } else {
            *target = proto::StdioTarget{};
        }
    }
}

}  // namespace procctl
