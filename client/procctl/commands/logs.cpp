#include <array>
#include <fstream>
#include <poll.h>
#include <unistd.h>
#include <utility>

#include "base/file_watch.hpp"
#include "base/log_reader.hpp"
#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"
#include "client/procctl/log_end.hpp"
#include "client/procctl/log_printer.hpp"

namespace procctl::commands {
namespace {

namespace proto = procd::proto;
using procd::LogFiles;
using procd::LogReader;

constexpr timespec k_look_without_watch{0, 200'000'000};

proto::LogsParams request_for(const Context& context, std::int64_t id) {
    proto::LogsParams params;
    params.process.id = id;
    params.lines = context.options.lines;
    if (context.options.follow) params.follow = true;
    if (context.options.err_log) params.err = true;
    return params;
}

// The log itself, where it can be read from here. A file at that path is the one that procd means if it has
// the same device and inode, on the same boot of the same machine; the socket may be another machine's, and
// the path another mount namespace's.
std::optional<LogReader> reader_here(const proto::LogFile& wanted) {
    std::string boot_id;
    std::getline(std::ifstream("/proc/sys/kernel/random/boot_id"), boot_id);
    if (boot_id.empty() || boot_id != wanted.boot_id) return std::nullopt;
    auto files = LogFiles::open(wanted.path.value);
    if (!files || static_cast<std::int64_t>(files->device()) != wanted.device ||
        static_cast<std::int64_t>(files->inode()) != wanted.inode)
        return std::nullopt;
    return LogReader(std::move(*files));
}

Failure unreadable(const procd::SysError& error) {
    return Failure::refused(proto::ErrorKind::no_log, error.message());
}

// ---- from the file ---------------------------------------------------------------------------------------

enum class Change { some, timed_out, reader_gone };

// Until the log may have changed, or its end may be known.
Outcome<Change> await_change(Context& context, int watch, std::optional<LogEnd>& end) {
    std::array<pollfd, 3> entries{pollfd{watch, POLLIN, 0}, pollfd{end ? end->fd() : -1, POLLIN, 0},
                                  pollfd{STDOUT_FILENO, 0, 0}};
    auto left = context.deadline.left();
    if (watch < 0 && (!left || left->tv_sec > 0 || left->tv_nsec > k_look_without_watch.tv_nsec))
        left = k_look_without_watch;
    ::ppoll(entries.data(), entries.size(), left ? &*left : nullptr, nullptr);
    if (reader_gone(entries[2].revents)) return Change::reader_gone;
    if (entries[1].revents != 0)
        if (const auto looked = end->look(); !looked) return looked.error();
    return context.deadline.passed() ? Change::timed_out : Change::some;
}

int print_file(Context& context, LogReader reader, std::optional<LogEnd> end) {
    LogPrinter printer(context);
    if (const auto begun = reader.begin_at_last(
            context.options.lines ? std::optional<std::uint64_t>(*context.options.lines) : std::nullopt,
            end.has_value());
        !begun)
        return context.fail(unreadable(begun.error()));
    const procd::UniqueFd watch = end ? procd::watch_file(reader.files().fd()) : procd::UniqueFd();
    for (;;) {
        // All is looked at before the log, so that nothing of it is missed.
        bool over = !end || end->over();
        bool removed = !over && !reader.files().in_place();
        if (removed) {  // with the record of the process, perhaps, which has ended then
            if (const auto looked = end->glance(); !looked) return context.fail(looked.error());
            over = end->over();
            removed = !over;
        }
        if (watch) procd::rearm_watch(watch.get());
        const auto lines = reader.next(over || removed);
        if (!lines) return context.fail(unreadable(lines.error()));
        if (!lines->text.empty() || lines->dropped > 0 || lines->truncated) {
            if (!printer.print(lines->text, lines->dropped, lines->truncated)) return k_refused;
            if (context.deadline.passed()) return k_timed_out;
            continue;
        }
        if (over || removed) {
            std::vector<std::string> remarks;
            if (reader.files().interrupted()) remarks.emplace_back(procd::k_log_interrupted);
            if (removed) remarks.emplace_back(procd::k_log_removed);
            return printer.finish(end && end->lost() ? k_out_of_reach : k_done, remarks);
        }
        const auto change = await_change(context, watch.get(), end);
        if (!change) return context.fail(change.error());
        if (*change == Change::timed_out) return k_timed_out;
        if (*change == Change::reader_gone) return k_refused;
    }
}

// ---- over the wire ---------------------------------------------------------------------------------------

// What has arrived. False: stdout takes no more.
bool print_arrived(LogPrinter& printer, procd::client::Connection& connection) {
    while (const auto notification = connection.next_notification()) {
        if (notification->method != "log") continue;
        const auto params = params_of<proto::LogDataParams>(*notification);
        if (!params) continue;
        const auto dropped = static_cast<std::uint64_t>(params->dropped.value_or(0));
        if (!printer.print(params->data.value, dropped, params->truncated.value_or(false))) return false;
    }
    return true;
}

int print_wire(Context& context, std::int64_t id) {
    const auto connection = context.connect();
    if (!connection) return context.fail(connection.error());
    const auto request = (*connection)->send<proto::Logs>(request_for(context, id), {}, context.deadline);
    if (!request) return context.fail(context.failure(request.error()));
    LogPrinter printer(context);
    for (;;) {
        if (!print_arrived(printer, **connection)) return k_refused;
        if ((*connection)->arrived(*request)) break;
        if (context.deadline.passed()) return k_timed_out;
        std::array<pollfd, 2> entries{pollfd{(*connection)->fd(), POLLIN, 0}, pollfd{STDOUT_FILENO, 0, 0}};
        const auto left = context.deadline.left();
        ::ppoll(entries.data(), entries.size(), left ? &*left : nullptr, nullptr);
        if (reader_gone(entries[1].revents)) return k_refused;
        // An end of the connection is told by the reply.
        if (entries[0].revents != 0) static_cast<void>(static_cast<bool>((*connection)->pump()));
    }
    const auto reply = context.checked((*connection)->receive<proto::Logs>(*request));
    if (!reply) return context.fail(reply.error());
    return printer.finish(k_done, reply->result.remarks.value_or(std::vector<std::string>()));
}

}  // namespace

int logs(Context& context) {
    const auto process = ask_about_one<proto::Status>(context);
    if (!process) return context.fail(process.error());
    const std::int64_t id = process->result.id;
    proto::LogsParams where = request_for(context, id);
    where.locate = true;
    const auto located = context.call<proto::Logs>(where);
    if (!located) return context.fail(located.error());
    auto reader = located->result.file ? reader_here(*located->result.file) : std::nullopt;
    if (!reader) return print_wire(context, id);
    std::optional<LogEnd> end;
    if (context.options.follow) {
        auto watched = LogEnd::watch(context, process->result);
        if (!watched) return context.fail(watched.error());
        end.emplace(*std::move(watched));
    }
    return print_file(context, std::move(*reader), std::move(end));
}

}  // namespace procctl::commands
