#include "daemon/loop/logs.hpp"

#include <utility>

#include "daemon/loop/guard.hpp"
#include "daemon/loop/log.hpp"
#include "daemon/sys/journal.hpp"

namespace procd::loop {
namespace {

sys::LogComplaints::Say say_on(asio::io_context& io) {
    return [&io](std::string text) { later(io, [text = std::move(text)] { log_warning(text); }); };
}

}  // namespace

Logs::Logs(asio::io_context& io, sys::LogDirectory directory, sys::LogLimits default_limits)
    : io_(io),
      directory_(std::move(directory)),
      default_limits_(default_limits),
      keeper_(directory_, sys::LogFeatures{}, say_on(io)),
      pump_(say_on(io)) {}

Logs::~Logs() {
    *alive_ = false;
}

Result<ChildLog> Logs::make_journal(const core::Launch& action, sys::LogKind kind) {
    auto stream =
        sys::open_journal_stream(action.name, kind == sys::LogKind::output ? sys::JournalPriority::info
                                                                           : sys::JournalPriority::warning);
    if (!stream) return stream.error();
    ChildLog log;
    log.child_end = std::move(*stream);
    return log;
}

Result<ChildLog> Logs::make(const core::Launch& action, sys::LogKind kind) {
    const core::LogSpec& spec = action.spec->log;
    const core::Identity& user = action.spec->identity;
    if (spec.via == core::LogVia::journal) return make_journal(action, kind);
    sys::PipeEnds pipe;
    if (spec.via == core::LogVia::pipe) {
        auto made = sys::make_log_pipe(user.uid, user.gid);
        if (!made) return made.error();
        pipe = std::move(*made);
    }
    auto file = directory_.create(action.id, action.name, kind, user.uid, user.gid);
    if (!file) return file.error();
    ChildLog log;
    log.child_end = std::move(pipe.write);
    log.file = std::make_shared<const UniqueFd>(std::move(file->fd));
    log.path = std::move(file->path);
    keep(log, user.uid, user.gid, spec);
    if (pipe.read) log.pumped = pump_.add(std::move(pipe.read), log.file);
    return log;
}

void Logs::keep(ChildLog& log, uid_t uid, gid_t gid, const core::LogSpec& spec) {
    log.kept =
        keeper_.add(log.file, log.path, uid, gid,
                    {spec.max.value_or(default_limits_.max), spec.keep.value_or(default_limits_.keep)});
}

std::optional<ChildLog> Logs::take_back(const std::string& path, core::UserId uid, const core::LogSpec& spec,
                                        UniqueFd pipe) {
    auto file = directory_.reopen(path, uid);
    if (!file) return std::nullopt;
    ChildLog log;
    log.path = path;
    log.file = std::make_shared<const UniqueFd>(std::move(file->fd));
    keep(log, file->uid, file->gid, spec);
    if (pipe) log.pumped = pump_.add(std::move(pipe), log.file);
    log.close();
    return log;
}

void Logs::drain(const ChildLog& log, std::function<void()> drained) {
    pump_.drain(log.pumped, [this, alive = alive_, drained = std::move(drained)] {
        later(io_, [alive, drained] {
            if (*alive) drained();
        });
    });
}

void Logs::finish(const ChildLog& log) {
    if (log.pumped != 0) pump_.finish(log.pumped);
    if (log.kept != 0) keeper_.finish(log.kept);
}

}  // namespace procd::loop
