#include <array>

#include "daemon/api/convert.hpp"
#include "daemon/api/creation.hpp"
#include "daemon/api/handlers.hpp"
#include "daemon/core/names.hpp"

namespace procd::api {
namespace {

// A session's stream is a descriptor that came with the request, or nothing (a log for each process).
std::variant<core::ResourcePtr, proto::WireError> stream(Call& call,
                                                         const std::optional<proto::StdioTarget>& target,
                                                         const std::string& path) {
    if (!target || target->kind == proto::StdioTarget::Kind::log) return core::ResourcePtr{};
    if (target->kind == proto::StdioTarget::Kind::fd) return descriptor_at(call, target->fd, path + ".fd");
    return refuse(proto::ErrorKind::bad_request, path + ": a session's stream is {\"fd\": i} or \"log\"");
}

}  // namespace

AnswerTo<proto::Session> session(Call& call, const proto::SessionParams& params) {
    const std::string name = params.name.value_or("");
    if (const auto problem = core::name_problem(name))
        return refuse(proto::ErrorKind::bad_request, "params.name: " + *problem);
    std::array<core::ResourcePtr, 2> streams;
    if (params.stdio) {
        if (params.stdio->in && params.stdio->in->kind != proto::StdioTarget::Kind::null)
            return refuse(proto::ErrorKind::bad_request, "params.stdio.stdin: in a session it is \"null\"");
        const std::array wanted{&params.stdio->out, &params.stdio->err};
        const std::array<std::string, 2> paths{"params.stdio.stdout", "params.stdio.stderr"};
        for (std::size_t i = 0; i < streams.size(); ++i) {
            auto descriptor = stream(call, *wanted[i], paths[i]);
            if (auto* error = std::get_if<proto::WireError>(&descriptor)) return std::move(*error);
            streams[i] = std::get<core::ResourcePtr>(descriptor);
        }
    }
    const auto lives = call.host.watch_peer(call.peer.connection);
    if (!lives) return wire_error(lives.refusal());
    if (!*lives)
        return refuse(proto::ErrorKind::owner_gone, "the program that opened this connection has ended");
    const auto id = call.core.open_session(call.caller(), name, call.host.peer(call.peer.connection),
                                           streams[0], streams[1]);
    if (!id) return wire_error(id.refusal());
    return proto::SessionResult{core::session_text(*id)};
}

}  // namespace procd::api
