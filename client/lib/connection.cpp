#include "client/lib/connection.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <poll.h>

#include "base/fd_passing.hpp"
#include "client/lib/socket.hpp"
#include "proto/envelope.hpp"

namespace procd::client {
namespace {

// A reply may be longer than any request: thousands of processes in one line. Longer: the connection is given
// up.
constexpr std::size_t k_max_reply_bytes = std::size_t{512} << 20;
constexpr std::size_t k_read_bytes = std::size_t{64} << 10;

Error refusal_of(const proto::Json& json, const std::string& line) {
    Error error{Error::Kind::refused, "procd refused, without a word", {}, member_of(line, "error"), 0, {}};
    if (!json.is_object()) return error;
    if (const auto message = json.find("message"); message != json.end() && message->is_string())
        error.message = message->get<std::string>();
    const auto data = json.find("data");
    if (data == json.end() || !data->is_object()) return error;
    if (const auto kind = data->find("kind"); kind != data->end() && kind->is_string())
        error.refusal = kind->get<std::string>();
    return error;
}

}  // namespace

proto::OrderedJson member_of(const std::string& line, const char* name) {
    // The line was parsed before, its depth is known to be bounded.
    const auto object = proto::OrderedJson::parse(line, nullptr, false);
    const auto found = object.is_object() ? object.find(name) : object.end();
    return found == object.end() ? proto::OrderedJson() : *found;
}

Connection::Connection(UniqueFd fd, std::string path)
    : fd_(std::move(fd)), path_(std::move(path)), reader_(k_max_reply_bytes) {}

Result<Connection> Connection::open(const std::string& path, Deadline deadline) {
    auto fd = connect_socket(path, deadline);
    if (!fd) return fd.error();
    return Connection(*std::move(fd), path);
}

Error Connection::closed(int error) const {
    std::string message = "procd closed the connection (" + path_ + ")";
    if (error != 0) message = "lost the connection to procd (" + path_ + "): " + std::strerror(error);
    return Error{Error::Kind::out_of_reach, std::move(message), {}, {}, error, path_};
}

void Connection::break_down(Error error) {
    if (!broken_) broken_ = std::move(error);
}

// ---- sending ----------------------------------------------------------------------------------------------

Result<Connection::RequestId> Connection::send_request(const char* method, const proto::OrderedJson& params,
                                                       Fds fds, Deadline deadline) {
    const RequestId id = ++last_id_;
    std::string line = R"({"jsonrpc":"2.0","id":)" + std::to_string(id) + R"(,"method":")";
    line.append(method).append(R"(","params":)").append(proto::dump(params)).append("}\n");
    outstanding_.insert(id);
    if (auto written = write(line, fds, deadline); !written) {
        outstanding_.erase(id);
        return written.error();
    }
    return id;
}

Result<void> Connection::send_notification(const char* method, const proto::OrderedJson& params, Fds fds,
                                           Deadline deadline) {
    return write(proto::notification_line(method, params), fds, deadline);
}

Result<void> Connection::write(std::string_view line, Fds fds, Deadline deadline) {
    if (broken_) return *broken_;
    if (line.size() > proto::k_max_line_bytes)
        return Error::refused(
            proto::ErrorKind::too_large,
            "the request is longer than " + std::to_string(proto::k_max_line_bytes >> 20) + " MiB");
    if (fds.size() > k_max_fds_a_message)
        return Error::refused(
            proto::ErrorKind::limit,
            "a request takes at most " + std::to_string(k_max_fds_a_message) + " descriptors");

    const std::size_t length = line.size();
    while (!line.empty()) {
        const bool first = line.size() == length;
        const auto sent = send_with_fds(fd_.get(), line, first ? fds : Fds());
        if (!sent) {
            // Before it hung up it may have said why.
            while (!broken_ && read_once()) {
            }
            break_down(closed(sent.error().error));
            return *broken_;
        }
        if (*sent != k_would_block) {
            line.remove_prefix(static_cast<std::size_t>(*sent));
        } else if (auto ready = wait_for(POLLOUT, deadline); !ready) {
            // A line of which a part is out cannot be taken back.
            if (!first) break_down(ready.error());
            return ready.error();
        }
    }
    return {};
}

// ---- receiving --------------------------------------------------------------------------------------------

Result<void> Connection::wait_for(short events, Deadline deadline) {
    for (;;) {
        pollfd entry{fd_.get(), events, 0};
        const auto left = deadline.left();
        const int ready = ::ppoll(&entry, 1, left ? &*left : nullptr, nullptr);
        if (ready > 0) return {};
        if (ready < 0 && errno != EINTR) return closed(errno);
        if (ready == 0)
            return Error{Error::Kind::timed_out, "timed out waiting for procd", {}, {}, ETIMEDOUT, path_};
    }
}

Result<void> Connection::pump(Deadline deadline) {
    if (broken_) return *broken_;
    if (!read_once()) {
        if (auto ready = wait_for(POLLIN, deadline); !ready) return ready.error();
        read_once();
    }
    if (broken_) return *broken_;
    return {};
}

bool Connection::read_once() {
    std::array<char, k_read_bytes> bytes;
    auto received = receive_with_fds(fd_.get(), bytes);
    if (!received) {
        break_down(closed(received.error().error));
        return true;
    }
    if (received->bytes == k_would_block) return false;
    if (received->bytes == 0) {
        break_down(closed(0));
        return true;
    }
    reader_.feed({bytes.data(), static_cast<std::size_t>(received->bytes)});
    if (!received->fds.empty()) arrivals_.push_back({reader_.fed() - 1, std::move(received->fds)});
    while (auto line = reader_.next()) sort_in(std::move(*line));
    return true;
}

void Connection::sort_in(proto::LineReader::Line line) {
    std::vector<UniqueFd> fds;
    while (!arrivals_.empty() && arrivals_.front().offset < line.end) {
        for (UniqueFd& fd : arrivals_.front().fds) fds.push_back(std::move(fd));
        arrivals_.pop_front();
    }
    const auto nonsense = [&](const std::string& what) {
        break_down(Error{Error::Kind::protocol, what + " (" + path_ + ")", {}, {}, 0, path_});
    };
    if (line.too_long) return nonsense("procd's answer is too long");
    auto parsed = proto::parse_json(line.text);
    const auto* json = std::get_if<proto::Json>(&parsed);
    if (json == nullptr || !json->is_object()) return nonsense("who answers here speaks another protocol");

    const auto id = json->find("id");
    const auto error = json->find("error");
    if (id == json->end()) {
        const auto method = json->find("method");
        if (method == json->end() || !method->is_string())
            return nonsense("who answers here speaks another protocol");
        const auto params = json->find("params");
        notifications_.push_back({method->get<std::string>(), params == json->end() ? proto::Json() : *params,
                                  std::move(line.text)});
        return;
    }
    if (id->is_null() && error != json->end())
        return break_down(refusal_of(*error, line.text));  // of the connection
    if (!id->is_number_unsigned() || outstanding_.erase(id->get<RequestId>()) == 0)
        return;  // given up meanwhile
    RawReply reply{{}, std::nullopt, {}, std::move(fds)};
    if (error != json->end())
        reply.error = refusal_of(*error, line.text);
    else if (const auto result = json->find("result"); result != json->end())
        reply.result = *result;
    reply.line = std::move(line.text);
    replies_.emplace(id->get<RequestId>(), std::move(reply));
}

Result<Connection::RawReply> Connection::receive_raw(RequestId id, Deadline deadline) {
    for (;;) {
        if (auto found = replies_.extract(id)) {
            if (found.mapped().error) return *found.mapped().error;
            return std::move(found.mapped());
        }
        if (auto more = pump(deadline); !more && !replies_.contains(id)) {
            outstanding_.erase(id);
            return more.error();
        }
    }
}

std::optional<Notification> Connection::next_notification() {
    if (notifications_.empty()) return std::nullopt;
    Notification first = std::move(notifications_.front());
    notifications_.pop_front();
    return first;
}

}  // namespace procd::client
