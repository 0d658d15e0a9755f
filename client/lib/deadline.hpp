#pragma once

#include <algorithm>
#include <chrono>
#include <optional>
#include <time.h>

namespace procd::client {

// Until when something may take, on the monotonic clock; the default is for ever.
class Deadline {
  public:
    Deadline() = default;
    static Deadline never() { return {}; }
    static Deadline after(double seconds) {
        constexpr double k_for_ever = 1e9;  // thirty years; more would overflow the clock
        Deadline deadline;
        if (seconds < k_for_ever)
            deadline.end_ =
                Clock::now() + std::chrono::ceil<Clock::duration>(std::chrono::duration<double>(seconds));
        return deadline;
    }
    static Deadline after(std::optional<double> seconds) { return seconds ? after(*seconds) : never(); }

    bool passed() const { return end_ && Clock::now() >= *end_; }
    // What is left, at least zero; none where it is for ever. Fits ppoll.
    std::optional<timespec> left() const {
        if (!end_) return std::nullopt;
        const auto rest =
            std::max(std::chrono::nanoseconds(*end_ - Clock::now()), std::chrono::nanoseconds(0));
        const auto whole = std::chrono::floor<std::chrono::seconds>(rest);
        timespec time{};
        time.tv_sec = static_cast<time_t>(whole.count());
        time.tv_nsec = static_cast<long>((rest - whole).count());
        return time;
    }
    // The earlier of the two.
    Deadline or_before(const Deadline& other) const {
        return !end_ || (other.end_ && *other.end_ < *end_) ? other : *this;
    }

  private:
    using Clock = std::chrono::steady_clock;
    std::optional<Clock::time_point> end_;
};

}  // namespace procd::client
