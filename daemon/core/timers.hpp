#pragma once

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "daemon/core/types.hpp"

namespace procd::core {

// What is due when. One deadline a key; the loop needs only the next one.
class Timers {
  public:
    enum class Kind { life, wait, drain };
    using Key = std::pair<Kind, std::uint64_t>;  // of a process, a wait (its token), or 0

    void set(const Key& key, std::optional<Mono> at) {
        if (const auto found = by_key_.find(key); found != by_key_.end()) {
            if (at == found->second) return;
            by_time_.erase({found->second, key});
            by_key_.erase(found);
        }
        if (!at) return;
        by_key_.emplace(key, *at);
        by_time_.emplace(*at, key);
    }

    bool has(const Key& key) const { return by_key_.contains(key); }
    std::optional<Mono> at(const Key& key) const {
        const auto found = by_key_.find(key);
        return found == by_key_.end() ? std::nullopt : std::optional(found->second);
    }

    std::optional<Mono> next() const {
        return by_time_.empty() ? std::nullopt : std::optional<Mono>(by_time_.begin()->first);
    }

    // The first key that is due, taken out.
    std::optional<Key> pop(Mono now) {
        if (by_time_.empty() || by_time_.begin()->first > now) return std::nullopt;
        const Key key = by_time_.begin()->second;
        set(key, std::nullopt);
        return key;
    }

  private:
    std::map<Key, Mono> by_key_;
    std::set<std::pair<Mono, Key>> by_time_;
};

}  // namespace procd::core
