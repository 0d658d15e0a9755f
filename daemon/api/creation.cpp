#include "daemon/api/creation.hpp"

#include <algorithm>
#include <array>

#include "daemon/api/convert.hpp"
#include "daemon/core/names.hpp"

namespace procd::api {
namespace {

proto::WireError bad(std::string message) {
    return refuse(proto::ErrorKind::bad_request, std::move(message));
}

core::LogVia same_via(proto::LogVia via) {
    switch (via) {
        case proto::LogVia::file:
            break;
        case proto::LogVia::pipe:
            return core::LogVia::pipe;
        case proto::LogVia::journal:
            return core::LogVia::journal;
    }
    return core::LogVia::file;
}

constexpr std::array k_stream_names{"params.stdio.stdin", "params.stdio.stdout", "params.stdio.stderr"};

// What streams are where none is named: in a session its own; of an owning process what that got; else a log.
// An owning process that is in a session got the session's; what it has there now may be a redirection of the
// moment.
void fill_default_stdio(Call& call, const core::OwnerKey& owner, core::LaunchSpec& spec) {
    const auto number = static_cast<std::int64_t>(owner.number);
    if (owner.kind == core::OwnerKind::session) {
        spec.streams_of = {std::nullopt, number, number};
    } else if (owner.kind == core::OwnerKind::process) {
        spec.stdio = {core::ToNull{}, core::ToOwners{}, core::ToOwners{}};
        if (const core::Process* process = call.core.find(number)) spec.streams_of = process->streams_of;
    }
    for (std::size_t stream = 1; stream < spec.stdio.size(); ++stream) {
        if (!spec.streams_of[stream]) continue;
        const core::Session* session = call.core.find_session(*spec.streams_of[stream]);
        const core::ResourcePtr lent = !session ? nullptr : stream == 1 ? session->out : session->err;
        if (lent) spec.stdio[stream] = core::ToDescriptor{lent};
    }
}

std::variant<core::StreamTarget, proto::WireError> target_of(Call& call, const proto::StdioTarget& wanted,
                                                             std::size_t stream) {
    using Kind = proto::StdioTarget::Kind;
    const std::string path = k_stream_names[stream];
    switch (wanted.kind) {
        case Kind::null:
            return core::ToNull{};
        case Kind::log:
            if (stream == 0) return bad(path + ": a log cannot be read from");
            return core::ToLog{};
        case Kind::as_stdout:
            if (stream != 2) return bad(path + ": \"stdout\" is for stderr only");
            return core::ToStdout{};
        case Kind::separate:
            if (stream != 2) return bad(path + ": \"separate\" is for stderr only");
            return core::ToOwnLog{};
        case Kind::fd: {
            auto descriptor = descriptor_at(call, wanted.fd, path + ".fd");
            if (auto* error = std::get_if<proto::WireError>(&descriptor)) return std::move(*error);
            return core::ToDescriptor{std::get<core::ResourcePtr>(descriptor)};
        }
        case Kind::file:
            break;
    }
    if (stream == 0 && wanted.append) return bad(path + ".append: is for stdout and stderr");
    return core::ToFile{wanted.path, wanted.append};
}

std::optional<proto::WireError> fill_stdio(Call& call, const proto::CreateParams& params,
                                           const core::OwnerKey& owner, core::LaunchSpec& spec) {
    // Who says how it is logged wants it logged.
    if (!params.log) fill_default_stdio(call, owner, spec);
    if (!params.stdio) return std::nullopt;
    const std::array wanted{&params.stdio->in, &params.stdio->out, &params.stdio->err};
    for (std::size_t stream = 0; stream < wanted.size(); ++stream) {
        if (!*wanted[stream]) continue;
        auto target = target_of(call, **wanted[stream], stream);
        if (auto* error = std::get_if<proto::WireError>(&target)) return std::move(*error);
        spec.stdio[stream] = std::move(std::get<core::StreamTarget>(target));
        spec.streams_of[stream].reset();
    }
    return std::nullopt;
}

bool is_logged(const core::StreamTarget& target) {
    return std::holds_alternative<core::ToLog>(target) || std::holds_alternative<core::ToOwnLog>(target);
}

std::optional<proto::WireError> fill_log(const proto::CreateParams& params, core::LaunchSpec& spec) {
    if (!params.log) return std::nullopt;
    if (!is_logged(spec.stdio[1]) && !is_logged(spec.stdio[2]))
        return bad("params.log: neither stdout nor stderr goes to a log");
    const proto::LogParams& log = *params.log;
    if (log.via == proto::LogVia::journal && (log.max || log.keep || log.retain))
        return bad("params.log: the journal has limits of its own, no max, keep or retain");
    spec.log.via = same_via(log.via.value_or(proto::LogVia::file));
    if (log.max) spec.log.max = log.max->value;
    if (log.keep) spec.log.keep = log.keep->value;
    spec.log.retain = log.retain.value_or(false);
    return std::nullopt;
}

// The caller's limits, with those that were asked for; nobody but root raises a hard one.
std::optional<proto::WireError> fill_limits(Call& call, const proto::CreateParams& params,
                                            core::LaunchSpec& spec) {
    auto limits = call.host.limits(call.peer.connection);
    if (!limits) return wire_error(limits.refusal());
    spec.limits = std::move(*limits);
    if (!params.rlimits) return std::nullopt;
    for (const auto& wanted : params.rlimits->limits) {
        const auto same_name = [&](const core::ResourceLimit& limit) { return limit.name == wanted.name; };
        const auto own = std::find_if(spec.limits.begin(), spec.limits.end(), same_name);
        if (own == spec.limits.end()) {
            spec.limits.push_back({wanted.name, wanted.soft, wanted.hard, false});
            continue;
        }
        if (wanted.hard > own->hard && call.peer.uid != 0)
            return refuse(proto::ErrorKind::not_permitted,
                          "params.rlimits." + wanted.name + ": above the caller's own hard limit");
        own->inherited = own->inherited && own->hard == wanted.hard;
        own->soft = wanted.soft;
        own->hard = wanted.hard;
    }
    return std::nullopt;
}

std::optional<proto::WireError> fill_identity(Call& call, const proto::CreateParams& params,
                                              core::LaunchSpec& spec) {
    auto identity = call.host.identity(call.peer.connection);
    if (!identity) return wire_error(identity.refusal());
    spec.identity = std::move(*identity);
    if (!params.user) return std::nullopt;
    if (call.peer.uid != 0 || call.host.self().uid != 0)
        return refuse(proto::ErrorKind::not_permitted,
                      "params.user: is for root, at a procd that runs as root");
    auto user = call.host.user(*params.user);
    if (!user) return bad("params.user: there is no user " + *params.user);
    user->no_new_privs = spec.identity.no_new_privs;  // what the caller may not gain, nobody does for it
    spec.identity = std::move(*user);
    return std::nullopt;
}

std::optional<proto::WireError> fill_descriptors(Call& call, const proto::CreateParams& params,
                                                 core::LaunchSpec& spec) {
    std::optional<proto::WireError> problem;
    const auto descriptor = [&](std::int64_t index, const std::string& path) -> core::ResourcePtr {
        auto found =
            index < 0
                ? std::variant<core::ResourcePtr, proto::WireError>(bad(path + ": expected an integer ≥ 0"))
                : descriptor_at(call, static_cast<std::size_t>(index), path);
        if (auto* error = std::get_if<proto::WireError>(&found)) {
            problem = std::move(*error);
            return nullptr;
        }
        return std::get<core::ResourcePtr>(found);
    };
    if (params.terminal) spec.terminal = descriptor(*params.terminal, "params.terminal");
    for (std::size_t i = 0; params.fds && !problem && i < params.fds->size(); ++i)
        spec.descriptors.push_back(descriptor((*params.fds)[i], "params.fds[" + std::to_string(i) + "]"));
    return problem;
}

std::optional<proto::WireError> fill_spec(Call& call, const proto::CreateParams& params,
                                          const core::OwnerKey& owner, core::LaunchSpec& spec) {
    if (params.command.empty()) return bad("params.command: is empty");
    for (const proto::Bytes& word : params.command) spec.command.push_back(word.value);
    if (params.cwd) {
        if (!params.cwd->value.starts_with('/')) return bad("params.cwd: expected an absolute path");
        spec.cwd = params.cwd->value;
    }
    if (params.env) spec.env = params.env->entries;
    if (params.umask) spec.umask = params.umask->value;
    if (auto problem = fill_identity(call, params, spec)) return problem;
    if (auto problem = fill_limits(call, params, spec)) return problem;
    if (auto problem = fill_stdio(call, params, owner, spec)) return problem;
    if (auto problem = fill_log(params, spec)) return problem;
    return fill_descriptors(call, params, spec);
}

}  // namespace

std::variant<core::ResourcePtr, proto::WireError> descriptor_at(Call& call, std::size_t index,
                                                                const std::string& path) {
    if (index < call.descriptors.size()) return call.descriptors[index];
    return bad(path + ": no descriptor " + std::to_string(index) + " came with the request");
}

std::variant<core::OwnerChoice, proto::WireError> choose_owner(Call& call, const proto::OwnerRef& owner) {
    using Kind = proto::OwnerRef::Kind;
    const auto gone = [](const std::string& who) {
        return refuse(proto::ErrorKind::owner_gone, who + " has ended");
    };

    if (owner.kind == Kind::pid || owner.kind == Kind::pidfd) {
        core::Outcome<std::optional<Watched>> found = std::optional<Watched>();
        std::string who = "the process behind that pidfd";
        if (owner.kind == Kind::pid) {
            who = "process " + std::to_string(owner.number);
            found = call.host.watch_pid(owner.number);
        } else {
            auto pidfd = descriptor_at(call, static_cast<std::size_t>(owner.number), "params.owner.pidfd");
            if (auto* error = std::get_if<proto::WireError>(&pidfd)) return std::move(*error);
            const auto is_pidfd = call.host.is_pidfd(std::get<core::ResourcePtr>(pidfd));
            if (!is_pidfd) return wire_error(is_pidfd.refusal());
            if (!*is_pidfd) return bad("params.owner.pidfd: is no pidfd");
            found = call.host.watch_pidfd(std::get<core::ResourcePtr>(pidfd));
        }
        if (!found) return wire_error(found.refusal());
        const std::optional<Watched>& watched = *found;
        if (!watched) return gone(who);
        call.watched.push_back(watched->number);
        if (!core::visible(call.caller(), watched->uid))
            return refuse(proto::ErrorKind::not_permitted,
                          "an owner must be the caller's own: " + who + " is not");
        return core::OwnerChoice{{core::OwnerKind::pid, watched->number}, watched->facts};
    }

    auto key = owner_key(call, owner, "params.owner");
    if (auto* error = std::get_if<proto::WireError>(&key)) return std::move(*error);
    core::OwnerChoice choice{std::get<core::OwnerKey>(key), {}};
    switch (choice.key.kind) {
        case core::OwnerKind::connection: {
            choice.facts = call.host.peer(call.peer.connection);
            const auto lives = call.host.watch_peer(call.peer.connection);
            if (!lives) return wire_error(lives.refusal());
            if (!*lives) return gone("the program that opened this connection");
            break;
        }
        case core::OwnerKind::process: {
            const core::Process* process = call.core.find(static_cast<core::ProcessId>(choice.key.number));
            if (process && process->alive()) choice.facts = {process->pid, call.host.comm(process->pid)};
            break;
        }
        case core::OwnerKind::pid:
            return gone("session " + owner.session);  // no such session
        case core::OwnerKind::session:
        case core::OwnerKind::procd:
            break;
    }
    return choice;
}

std::variant<core::Creation, proto::WireError> creation_from(Call& call, const proto::CreateParams& params) {
    const std::string name = params.name.value_or("");
    if (const auto problem = core::name_problem(name)) return bad("params.name: " + *problem);
    auto owner = choose_owner(call, params.owner.value_or(proto::OwnerRef{}));
    if (auto* error = std::get_if<proto::WireError>(&owner)) return std::move(*error);

    core::Creation creation;
    creation.owner = std::move(std::get<core::OwnerChoice>(owner));
    auto spec = std::make_shared<core::LaunchSpec>();
    if (auto problem = fill_spec(call, params, creation.owner.key, *spec)) return std::move(*problem);
    creation.uid = spec->identity.uid;
    creation.spec = std::move(spec);
    creation.name = name;
    creation.daemon = params.daemon;
    if (params.grace) creation.grace = duration(*params.grace);
    if (params.kill_mode == proto::KillMode::main) creation.kill_mode = core::KillMode::main;
    creation.keep_leftovers = params.leftovers == proto::Leftovers::keep;
    creation.unique = params.unique.value_or(false);
    return creation;
}

}  // namespace procd::api
