#include "client/procctl/strays.hpp"

#include <csignal>
#include <map>
#include <string>
#include <unistd.h>

#include "client/procctl/caller.hpp"
#include "client/procctl/output.hpp"

namespace procctl {
namespace {

using procd::client::Deadline;

constexpr double k_grace_seconds = 10;
constexpr double k_look_again_seconds = 0.02;  // the end of somebody else's child tells nobody

// By pidfd, and only if the pid still is the one that was seen.
void send(const ProcStat& seen, std::initializer_list<int> signals) {
    const auto pidfd = pidfd_of(seen.pid);
    const auto now = read_stat(seen.pid);
    if (!pidfd || !now || now->start_time != seen.start_time) return;
    for (const int signal : signals) pidfd_send(pidfd, signal);
}

}  // namespace

Waited end_strays(SignalSource& signals, Deadline deadline, const std::function<bool(int)>& on_signal,
                  std::size_t& count) {
    const Deadline grace = Deadline::after(k_grace_seconds);
    std::map<std::pair<pid_t, std::uint64_t>, bool> killed;
    for (;;) {
        const auto strays = descendants_of(::getpid());
        if (strays.empty()) return Waited::arrived;
        if (deadline.passed()) return Waited::timed_out;
        for (const ProcStat& stray : strays) {
            const auto [entry, is_new] = killed.emplace(std::pair(stray.pid, stray.start_time), false);
            if (is_new) {
                ++count;
                complain("left behind outside of procd: pid " + std::to_string(stray.pid) + ": " +
                         command_line_of(stray.pid) + "; ending it");
                send(stray, {SIGTERM, SIGCONT});
            }
            if (grace.passed() && !entry->second) {
                send(stray, {SIGKILL});
                entry->second = true;
            }
        }
        const Deadline pause = Deadline::after(k_look_again_seconds).or_before(deadline);
        if (await_reply(nullptr, 0, signals, pause, on_signal) == Waited::stopped) return Waited::stopped;
    }
}

}  // namespace procctl
