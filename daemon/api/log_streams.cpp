#include "daemon/api/log_streams.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "daemon/api/call.hpp"
#include "daemon/api/convert.hpp"
#include "proto/envelope.hpp"
#include "proto/messages.hpp"

namespace procd::api {
namespace {

std::optional<std::int64_t> some(std::uint64_t count) {
    return count > 0 ? std::optional(static_cast<std::int64_t>(count)) : std::nullopt;
}

}  // namespace

std::optional<proto::WireError> LogStreams::open(const Call& call, core::ProcessId process,
                                                 LogRequest request) {
    const core::UserId reader = call.peer.uid;
    const bool limited = reader != 0 && reader != call.host.self().uid;
    const LogThreads threads = host_.log_threads(reader);
    const std::size_t of_reader = std::max(
        threads.of_reader,
        static_cast<std::size_t>(std::count_if(streams_.begin(), streams_.end(), [&](const auto& each) {
            return each.second.reader == reader;
        })));
    const std::size_t of_all = std::max(threads.of_all, streams_.size());
    if (limited && of_reader >= k_most_of_user)
        return refuse(proto::ErrorKind::limit, "user " + std::to_string(reader) + " reads " +
                                                   std::to_string(of_reader) +
                                                   " logs, the most that one may at once");
    if (of_all >= k_most)
        return refuse(proto::ErrorKind::limit,
                      std::to_string(of_all) + " logs are being read, the most that procd reads at once");
    request.reader = reader;
    const LogId log = next_++;
    if (!host_.read_log(log, call.peer.connection, request))
        return refuse(proto::ErrorKind::limit, "procd has no thread to read a log with (EAGAIN)");
    streams_.emplace(log, Stream{call.peer.connection, *call.id, reader, process, std::move(request)});
    return std::nullopt;
}

void LogStreams::deliver(LogId log, const LogChunk& chunk) {
    const auto found = streams_.find(log);
    if (found == streams_.end()) return;
    Stream& stream = found->second;
    stream.dropped += chunk.dropped;
    stream.what.from = chunk.next;
    proto::LogDataParams params{proto::Json::parse(stream.request), {chunk.bytes}, some(chunk.dropped), {}};
    if (chunk.truncated) params.truncated = true;
    host_.send(stream.connection, proto::notification_line("log", proto::encode(params)));
}

void LogStreams::thaw(std::map<LogId, Stream> streams, LogId next) {
    next_ = next;
    streams_ = std::move(streams);
    const std::map<LogId, Stream> all = streams_;
    for (const auto& [log, stream] : all)
        if (!host_.read_log(log, stream.connection, stream.what))
            finish(log, LogReport{"procd has no thread to read a log with", EAGAIN, {}, 0, 0});
}

void LogStreams::finish(LogId log, const LogReport& report) {
    const auto found = streams_.find(log);
    if (found == streams_.end()) return;
    const Stream stream = std::move(found->second);
    streams_.erase(found);
    if (!report.problem.empty()) {
        proto::WireError error = refuse(proto::ErrorKind::no_log, report.problem);
        error.details["errno"] = report.error;
        return host_.send(stream.connection, proto::error_line(stream.request, error));
    }
    proto::LogsResult result;
    result.dropped = some(stream.dropped);
    if (!report.remarks.empty()) result.remarks = report.remarks;
    if (stream.what.locate)
        result.file = proto::LogFile{{stream.what.path},
                                     static_cast<std::int64_t>(report.device),
                                     static_cast<std::int64_t>(report.inode),
                                     host_.self().boot_id};
    host_.send(stream.connection, proto::result_line(stream.request, proto::encode(result)));
}

void LogStreams::process_exited(core::ProcessId process) {
    for (const auto& [log, stream] : streams_)
        if (stream.process == process) host_.log_completed(log);
}

void LogStreams::connection_closed(core::ConnectionId connection) {
    for (auto stream = streams_.begin(); stream != streams_.end();) {
        const bool theirs = stream->second.connection == connection;
        if (theirs) host_.forget_log(stream->first);
        stream = theirs ? streams_.erase(stream) : std::next(stream);
    }
}

bool LogStreams::reads(core::ConnectionId connection) const {
    return std::any_of(streams_.begin(), streams_.end(),
                       [&](const auto& each) { return each.second.connection == connection; });
}

}  // namespace procd::api
