#include "daemon/loop/log_readers.hpp"

#include <utility>

#include "base/log_files.hpp"
#include "daemon/loop/guard.hpp"

namespace procd::loop {

LogReaders::LogReaders(asio::io_context& io, HasRoom has_room, api::Api& api)
    : io_(io), has_room_(std::move(has_room)), api_(api) {}

LogReaders::~LogReaders() {
    *alive_ = false;
}

bool LogReaders::read(api::LogId log, core::ConnectionId connection, const api::LogRequest& request,
                      std::optional<uid_t> owner) {
    using Stream = sys::LogStream;
    Stream::Handlers handlers;
    handlers.on_chunk = [this, alive = alive_, log](Stream::Chunk chunk) {
        later(io_, [this, alive, log, chunk = std::move(chunk)]() mutable {
            if (*alive) arrived(log, std::move(chunk));
        });
    };
    handlers.on_end = [this, alive = alive_, log](const Stream::End& end) {
        later(io_, [this, alive, log, end] {
            if (*alive) ended(log, end);
        });
    };
    std::erase_if(threads_, [](const auto& each) { return each.second.use_count() == 1; });
    auto& threads = threads_[request.reader];
    if (!threads) threads = std::make_shared<const bool>();
    std::optional<LogFiles::Place> from;
    if (request.from) from = LogFiles::Place{request.from->generation, request.from->offset};
    auto stream = Stream::start({request.path, owner, request.lines, request.follow, request.locate, from},
                                std::move(handlers), threads);
    if (!stream) return false;
    readers_.emplace(log, Reader{connection, std::move(stream), std::nullopt});
    return true;
}

api::LogThreads LogReaders::threads(core::UserId reader) const {
    api::LogThreads count;
    for (const auto& [user, shared] : threads_) {
        const auto living = static_cast<std::size_t>(shared.use_count() - 1);
        count.of_all += living;
        if (user == reader) count.of_reader = living;
    }
    return count;
}

void LogReaders::complete(api::LogId log) {
    if (const auto found = readers_.find(log); found != readers_.end()) found->second.stream->complete();
}

void LogReaders::forget(api::LogId log) {
    readers_.erase(log);
}

void LogReaders::arrived(api::LogId log, sys::LogStream::Chunk chunk) {
    const auto found = readers_.find(log);
    if (found == readers_.end()) return;
    found->second.waiting = std::move(chunk);
    if (has_room_(found->second.connection)) pass_on(log, found->second);
}

void LogReaders::pass_on(api::LogId log, Reader& reader) {
    sys::LogStream::Chunk chunk = *std::exchange(reader.waiting, std::nullopt);
    reader.stream->take_more();  // it reads while this one goes out
    api_.log_chunk(
        log,
        {std::move(chunk.bytes), chunk.dropped, chunk.truncated, {chunk.next.generation, chunk.next.offset}});
}

void LogReaders::go_on(core::ConnectionId connection) {
    for (auto& [log, reader] : readers_) {
        if (reader.connection != connection || !reader.waiting) continue;
        if (!has_room_(connection)) return;
        pass_on(log, reader);
    }
}

void LogReaders::ended(api::LogId log, const sys::LogStream::End& end) {
    if (readers_.erase(log) == 0) return;
    api::LogReport report;
    if (end.error) {
        report.problem = end.error->message();
        report.error = end.error->error;
    }
    if (end.interrupted) report.remarks.emplace_back(k_log_interrupted);
    if (end.removed) report.remarks.emplace_back(k_log_removed);
    report.device = end.device;
    report.inode = end.inode;
    api_.log_end(log, report);
}

}  // namespace procd::loop
