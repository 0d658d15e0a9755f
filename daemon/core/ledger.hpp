#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "daemon/core/types.hpp"

namespace procd::core {

// How many bytes procd keeps in memory for each user: the texts, and about what each thing costs beside them.
class Ledger {
  public:
    std::size_t of(UserId uid) const {
        const auto found = bytes_.find(uid);
        return found == bytes_.end() ? 0 : found->second;
    }
    void add(UserId uid, std::size_t bytes) {
        if (bytes > 0) bytes_[uid] += bytes;
    }
    void remove(UserId uid, std::size_t bytes) {
        const auto found = bytes_.find(uid);
        if (found != bytes_.end() && (found->second -= bytes) == 0) bytes_.erase(found);
    }

  private:
    std::map<UserId, std::size_t> bytes_;
};

inline std::size_t bytes_of(const std::string& text) {
    return sizeof(std::string) + text.size();
}
inline std::size_t bytes_of(const std::vector<std::string>& texts) {
    std::size_t bytes = sizeof texts;
    for (const std::string& text : texts) bytes += bytes_of(text);
    return bytes;
}

}  // namespace procd::core
