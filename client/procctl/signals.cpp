#include "client/procctl/signals.hpp"

#include <sys/signalfd.h>
#include <unistd.h>

namespace procctl {

SignalSource::SignalSource(std::initializer_list<int> signals) {
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int signal : signals) {
        struct sigaction action {};
        ::sigaction(signal, nullptr, &action);
        if (action.sa_handler == SIG_IGN) {
            if (signal != SIGCHLD) continue;
            action.sa_handler = SIG_DFL;
            ::sigaction(signal, &action, nullptr);
        }
        sigaddset(&wanted, signal);
    }
    ::sigprocmask(SIG_BLOCK, &wanted, &before_);
    fd_.reset(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
}

std::optional<int> SignalSource::next() {
    signalfd_siginfo info{};
    if (::read(fd_.get(), &info, sizeof info) != sizeof info) return std::nullopt;
    return static_cast<int>(info.ssi_signo);
}

Waited await_reply(procd::client::Connection* connection, procd::client::Connection::RequestId id,
                   SignalSource& signals, procd::client::Deadline deadline,
                   const std::function<bool(int)>& on_signal, Attended* beside) {
    constexpr std::size_t k_own = 2;
    std::vector<pollfd> entries;
    while (connection == nullptr || !connection->arrived(id)) {
        entries.assign({pollfd{signals.fd(), POLLIN, 0},
                        pollfd{connection != nullptr ? connection->fd() : -1, POLLIN, 0}});
        const auto due = beside != nullptr ? deadline.or_before(beside->prepare(entries)) : deadline;
        const auto left = due.left();
        const int ready = ::ppoll(entries.data(), entries.size(), left ? &*left : nullptr, nullptr);
        if (ready < 0) continue;
        if (entries[0].revents != 0)
            while (const auto signal = signals.next())
                if (!on_signal(*signal)) return Waited::stopped;
        // An end of the connection is no news here: whoever receives the reply is told.
        if (entries[1].revents != 0) static_cast<void>(static_cast<bool>(connection->pump()));
        if (beside != nullptr && !beside->attend(std::span(entries).subspan(k_own))) return Waited::stopped;
        // Also when there is something to attend to all the time.
        if (deadline.passed() && (connection == nullptr || !connection->arrived(id)))
            return Waited::timed_out;
    }
    return Waited::arrived;
}

}  // namespace procctl
