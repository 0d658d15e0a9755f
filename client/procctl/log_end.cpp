#include "client/procctl/log_end.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <utility>

#include "client/procctl/caller.hpp"

namespace procctl {
namespace {

namespace proto = procd::proto;

// Whether pids of procd's mean the same here: its own is the one that the kernel gives for the socket's other
// end. (In another namespace, or behind a forwarder, it is not.)
bool shares_pids(const procd::client::Connection& connection, std::int64_t pid_of_procd) {
    ucred peer{};
    socklen_t length = sizeof peer;
    return ::getsockopt(connection.fd(), SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 &&
           peer.pid == pid_of_procd;
}

}  // namespace

Outcome<LogEnd> LogEnd::watch(Context& context, const proto::ProcessObject& process) {
    LogEnd end(context);
    const auto connection = context.connect();
    if (!connection) return connection.error();
    const auto hello = context.call<proto::Hello>({});
    if (!hello) return hello.error();
    const proto::Selector itself{process.id, {}, std::nullopt};
    if (process.pid && shares_pids(**connection, hello->result.pid)) {
        end.main_ = pidfd_of(static_cast<pid_t>(*process.pid));
        // If it still lives, that pid was not another's when it was opened.
        const auto again = context.call<proto::Status>({itself});
        if (!again || !again->result.alive) end.main_.reset();
    }
    proto::WaitParams params;
    params.processes = {itself};
    const auto request = (*connection)->send<proto::Wait>(params);
    if (!request) return context.failure(request.error());
    end.connection_ = *connection;
    end.request_ = *request;
    return end;
}

int LogEnd::fd() const {
    return connection_ != nullptr ? connection_->fd() : main_.get();
}

Outcome<void> LogEnd::look() {
    if (connection_ == nullptr) {
        over_ = true;
        return {};
    }
    // An end of the connection is told by the reply.
    static_cast<void>(static_cast<bool>(connection_->pump()));
    if (!connection_->arrived(request_)) return {};
    return take_reply();
}

Outcome<void> LogEnd::glance() {
    pollfd entry{fd(), POLLIN, 0};
    return ::poll(&entry, 1, 0) > 0 ? look() : Outcome<void>();
}

Outcome<void> LogEnd::take_reply() {
    const auto reply = std::exchange(connection_, nullptr)->receive<proto::Wait>(request_);
    if (reply || reply.error().is(proto::ErrorKind::no_such_process)) {
        over_ = true;
        return {};
    }
    const Failure failure = context_.failure(reply.error());
    // Asked from inside of the process itself: it ends with that.
    if (failure.is(proto::ErrorKind::deadlock)) {
        main_.reset();
        return {};
    }
    if (failure.status != k_out_of_reach) return failure;
    lost_ = over_ = !main_;
    complain(main_ ? "procd is gone: going on with the log until the process has ended"
                   : "procd is gone: this is the log so far");
    return {};
}

}  // namespace procctl
