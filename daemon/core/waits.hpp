#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <vector>

#include "daemon/core/types.hpp"

namespace procd::core {

// A pending wait. Done when none (all) or one (any) of its processes is left to end.
struct Wait {
    Token token = 0;
    ConnectionId connection = 0;
    UserId uid = 0;
    std::vector<ProcessId> ids;  // in the order they were named
    WaitMode mode = WaitMode::all;
    std::size_t ended = 0;

    // About what it costs in memory.
    std::size_t bytes() const { return bytes_for(ids.size()); }
    static constexpr std::size_t bytes_for(std::size_t ids) { return 256 + ids * 64; }
    bool done() const { return mode == WaitMode::any ? ended > 0 : ended == ids.size(); }
};

// The pending waits, by token, connection and user.
class Waits {
  public:
    Wait& add(Wait wait) {
        by_connection_[wait.connection].insert(wait.token);
        ++by_user_[wait.uid];
        return by_token_.emplace(wait.token, std::move(wait)).first->second;
    }
    Wait* find(Token token) {
        const auto found = by_token_.find(token);
        return found == by_token_.end() ? nullptr : &found->second;
    }
    Wait take(Token token) {
        const auto found = by_token_.find(token);
        Wait wait = std::move(found->second);
        by_token_.erase(found);
        if (const auto tokens = by_connection_.find(wait.connection); tokens != by_connection_.end()) {
            tokens->second.erase(token);
            if (tokens->second.empty()) by_connection_.erase(tokens);
        }
        if (const auto count = by_user_.find(wait.uid); --count->second == 0) by_user_.erase(count);
        return wait;
    }
    std::vector<Token> of_connection(ConnectionId connection) const {
        const auto found = by_connection_.find(connection);
        if (found == by_connection_.end()) return {};
        return {found->second.begin(), found->second.end()};
    }
    std::size_t of_user(UserId uid) const {
        const auto found = by_user_.find(uid);
        return found == by_user_.end() ? 0 : found->second;
    }
    std::size_t size() const { return by_token_.size(); }
    const std::map<Token, Wait>& all() const { return by_token_; }

  private:
    std::map<Token, Wait> by_token_;
    std::map<ConnectionId, std::set<Token>> by_connection_;
    std::map<UserId, std::size_t> by_user_;
};

}  // namespace procd::core
