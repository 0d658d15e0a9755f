#include "client/procctl/log_printer.hpp"

#include <poll.h>
#include <string>

namespace procctl {
namespace {

namespace proto = procd::proto;

std::optional<std::int64_t> some(std::uint64_t count) {
    return count > 0 ? std::optional(static_cast<std::int64_t>(count)) : std::nullopt;
}

}  // namespace

bool LogPrinter::print(std::string_view text, std::uint64_t dropped, bool truncated) {
    dropped_ += dropped;
    if (context_.options.json) {
        proto::LogDataParams params{{}, {std::string(text)}, some(dropped), {}};
        if (truncated) params.truncated = true;
        proto::OrderedJson object = proto::encode(params);
        object.erase("request");
        context_.out.line(proto::dump(object));
        return context_.out.flush();
    }
    // The rest of a line that went lost must not look like the rest of another one.
    if ((dropped > 0 || truncated) && within_line_) context_.out.text("\n");
    context_.out.text(text);
    if (!text.empty()) within_line_ = text.back() != '\n';
    if (dropped > 0)
        complain("the log was cut faster than it was read: " + std::to_string(dropped) +
                 " bytes are missing");
    if (truncated) complain("the log was truncated by its writer: going on at its new beginning");
    return context_.out.flush();
}

int LogPrinter::finish(int status, const std::vector<std::string>& remarks) {
    if (context_.options.json) {
        proto::LogsResult result;
        result.dropped = some(dropped_);
        if (!remarks.empty()) result.remarks = remarks;
        context_.out.line(proto::dump(proto::encode(result)));
    } else {
        for (const std::string& remark : remarks) complain(remark);
    }
    return status;
}

bool reader_gone(short events) {
    return (events & (POLLERR | POLLHUP | POLLNVAL)) != 0;
}

}  // namespace procctl
