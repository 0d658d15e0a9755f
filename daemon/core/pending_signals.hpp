#pragma once

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "daemon/core/types.hpp"

namespace procd::core {

// A signal that a client sends. sender: the user whom kill(2) would have to let; none: it need not be asked.
struct ClientSignal {
    int number = 0;
    bool tree = false;
    std::optional<UserId> sender{};
};

// What was sent to a process whose start is under way, kept as the kernel keeps what a process blocks: a
// standard signal is pending once, real-time ones queue up, k_most_queued at most. A stop and SIGCONT take
// each other back.
class PendingSignals {
  public:
    static constexpr int k_first_realtime = 32;  // the kernel's; libc keeps the first two for itself
    static constexpr std::size_t k_most_queued = 64;

    bool has_room(int number) const {
        if (number < k_first_realtime) return true;
        const auto is_queued = [](const ClientSignal& one) { return one.number >= k_first_realtime; };
        return std::count_if(signals_.begin(), signals_.end(), is_queued) <
               static_cast<std::ptrdiff_t>(k_most_queued);
    }
    void add(const ClientSignal& signal) {
        if (signal.number == SIGCONT)
            std::erase_if(signals_, [](const auto& one) { return stops(one.number); });
        if (stops(signal.number))
            std::erase_if(signals_, [](const auto& one) { return one.number == SIGCONT; });
        if (signal.number < k_first_realtime) {
            for (ClientSignal& one : signals_) {
                if (one.number != signal.number || one.sender != signal.sender) continue;
                one.tree = one.tree || signal.tree;
                return;
            }
        }
        signals_.push_back(signal);
    }
    std::vector<ClientSignal> take() { return std::exchange(signals_, {}); }
    std::size_t size() const { return signals_.size(); }

  private:
    static bool stops(int number) {
        return number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU;
    }

    std::vector<ClientSignal> signals_;
};

}  // namespace procd::core
