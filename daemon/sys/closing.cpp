#include "daemon/sys/closing.hpp"

#include <array>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <thread>
#include <utility>

#include "base/fd_passing.hpp"
#include "daemon/sys/clone.hpp"

namespace procd::sys {
namespace {

constexpr unsigned k_memory_devices = 1;  // the major number of /dev/null and its like

struct Doomed {
    UniqueFd fd;
    DescriptorsHeld counted;
};

struct State {
    std::mutex lock;
    std::condition_variable closed;
    std::map<uid_t, std::deque<Doomed>> users;  // those that have a thread
};

// Never destroyed: a thread that hangs in a close may outlive everything else.
State& state() {
    static auto* const forever = new State;
    return *forever;
}

bool closes_at_once(int fd) {
    struct stat status {};
    if (::fstat(fd, &status) != 0) return false;
    return S_ISFIFO(status.st_mode) || (S_ISCHR(status.st_mode) && major(status.st_rdev) == k_memory_devices);
}

void close_now(Doomed& doomed) {
    doomed.fd.reset();
    if (doomed.counted) --*doomed.counted;
}

void close_all_of(uid_t user) {
    State& all = state();
    std::unique_lock guard(all.lock);
    for (auto mine = all.users.find(user); !mine->second.empty();) {
        Doomed doomed = std::move(mine->second.front());
        mine->second.pop_front();
        guard.unlock();
        close_now(doomed);
        guard.lock();
    }
    all.users.erase(user);
    all.closed.notify_all();
}

// Leaves it to the caller where it throws.
void hand_over(uid_t user, Doomed& doomed) {
    State& all = state();
    const std::lock_guard guard(all.lock);
    const auto [mine, is_new] = all.users.try_emplace(user);
    try {
        if (is_new) {
            const AllSignalsBlocked blocked;  // inherited: the loop's signals are the loop's
            std::thread(close_all_of, user).detach();
        }
    } catch (...) {
        all.users.erase(mine);
        throw;
    }
    mine->second.push_back(std::move(doomed));
}

}  // namespace

void close_elsewhere(uid_t user, UniqueFd fd, DescriptorsHeld counted) noexcept {
    Doomed doomed{std::move(fd), std::move(counted)};
    if (doomed.fd && !closes_at_once(doomed.fd.get())) {
        try {
            return hand_over(user, doomed);
        } catch (const std::exception&) {  // no memory, or no thread
        }
    }
    close_now(doomed);
}

void discard_input(uid_t user, int socket) noexcept {
    if (::shutdown(socket, SHUT_RD) != 0) return;
    try {
        std::array<char, 4096> buffer;
        for (;;) {
            auto received = receive_with_fds(socket, buffer);
            if (!received || received->bytes <= 0) return;
            for (UniqueFd& fd : received->fds) close_elsewhere(user, std::move(fd));
        }
    } catch (const std::exception&) {  // no memory: the kernel takes the rest
    }
}

void await_closing(std::chrono::milliseconds limit) {
    State& all = state();
    std::unique_lock guard(all.lock);
    all.closed.wait_for(guard, limit, [&all] { return all.users.empty(); });
}

}  // namespace procd::sys
