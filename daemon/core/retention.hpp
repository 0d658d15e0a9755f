#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>

#include "daemon/core/types.hpp"

namespace procd::core {

// The ended records that nobody's lease keeps any more: the newest of each user stay.
class Retention {
  public:
    explicit Retention(std::size_t keep) : keep_(keep) {}

    void add(ProcessId id, UserId uid) {
        if (where_.contains(id)) return;
        const std::uint64_t order = next_++;
        by_user_[uid].emplace(order, id);
        where_.emplace(id, Place{uid, order});
    }
    void remove(ProcessId id) {
        const auto found = where_.find(id);
        if (found == where_.end()) return;
        const auto user = by_user_.find(found->second.uid);
        user->second.erase(found->second.order);
        if (user->second.empty()) by_user_.erase(user);
        where_.erase(found);
    }
    // The oldest record of the user that is not among the newest (with none_kept: of all) and that `pinned`
    // does not hold.
    template <class Pinned>
    std::optional<ProcessId> surplus(UserId uid, Pinned pinned, bool none_kept = false) const {
        const auto user = by_user_.find(uid);
        if (user == by_user_.end()) return std::nullopt;
        std::size_t left = user->second.size();
        for (const auto& [order, id] : user->second) {
            if (left-- <= (none_kept ? 0 : keep_)) break;
            if (!pinned(id)) return id;
        }
        return std::nullopt;
    }

  private:
    struct Place {
        UserId uid;
        std::uint64_t order;
    };
    std::size_t keep_;
    std::uint64_t next_ = 0;
    std::map<UserId, std::map<std::uint64_t, ProcessId>> by_user_;
    std::unordered_map<ProcessId, Place> where_;
};

}  // namespace procd::core
