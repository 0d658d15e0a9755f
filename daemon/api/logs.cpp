#include "daemon/api/api.hpp"
#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {
namespace {

std::variant<std::string, proto::WireError> log_of(const core::Process& process, bool standard_error) {
    const std::string who = std::to_string(process.id) + " (" + process.name + ")";
    if (!process.started_or_starting())
        return refuse(proto::ErrorKind::not_started, who + " is not started, so it has no log yet");
    if (standard_error && process.log_stderr) return *process.log_stderr;
    if (standard_error)
        return refuse(proto::ErrorKind::no_log, who + " has no log for stderr alone: " + process.output);
    if (!process.log) return refuse(proto::ErrorKind::no_log, who + " has no log: " + process.output);
    return *process.log;
}

}  // namespace

AnswerTo<proto::Logs> logs(Call& call, const proto::LogsParams& params) {
    if (params.lines && *params.lines < 0)
        return refuse(proto::ErrorKind::bad_request, "params.lines: expected an integer ≥ 0");
    const auto id = resolve_one(call, params.process);
    if (const auto* error = std::get_if<proto::WireError>(&id)) return *error;
    const core::Process& process = *call.core.find(std::get<core::ProcessId>(id));
    auto path = log_of(process, params.err.value_or(false));
    if (auto* error = std::get_if<proto::WireError>(&path)) return std::move(*error);
    if (!call.id) return proto::LogsResult{};  // nobody could tell which request it answers
    LogRequest request{std::get<std::string>(path), process.uid, std::nullopt,
                       params.follow.value_or(false) && !process.exited(), params.locate.value_or(false)};
    if (params.lines) request.lines = static_cast<std::uint64_t>(*params.lines);
    if (auto problem = call.api.logs().open(call, process.id, std::move(request))) return std::move(*problem);
    return Later{};
}

}  // namespace procd::api
