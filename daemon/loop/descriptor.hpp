#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/unique_fd.hpp"
#include "daemon/core/types.hpp"
#include "daemon/sys/closing.hpp"

namespace procd::loop {

// How many descriptors procd holds for a user: of requests that are not whole yet, of sessions, of processes
// that are not started yet, and of answers that are not read yet.
// Spawner threads let go of some, too.
struct DescriptorCount {
    DescriptorCount(std::uint32_t uid_, std::size_t most_) : uid(uid_), most(most_) {}
    const std::uint32_t uid;
    const std::size_t most;
    std::atomic<std::size_t> held{0};

    bool has_room(std::size_t more) const { return more <= most && held <= most - more; }
    std::string problem() const {
        return "procd holds " + std::to_string(held) + " descriptors for user " + std::to_string(uid) +
               ", and at most max-descriptors, " + std::to_string(most);
    }
};

// A descriptor that somebody holds through the core, which does not know what it is.
struct Descriptor final : core::Resource {
    enum class Origin { own, brought };

    Descriptor(UniqueFd owned, std::shared_ptr<DescriptorCount> counted, Origin from)
        : fd(std::move(owned)), count(std::move(counted)), origin(from) {
        if (count) ++count->held;
    }
    // What was brought is closed elsewhere, and counts until then.
    ~Descriptor() override {
        if (origin == Origin::brought)
            sys::close_elsewhere(count->uid, std::move(fd), sys::DescriptorsHeld(count, &count->held));
        else if (count)
            --count->held;
    }
    UniqueFd fd;
    std::shared_ptr<DescriptorCount> count;  // null: it is on nobody's account
    const Origin origin;
};

// One that procd has made.
inline core::ResourcePtr hold(UniqueFd fd, std::shared_ptr<DescriptorCount> count = nullptr) {
    return std::make_shared<Descriptor>(std::move(fd), std::move(count), Descriptor::Origin::own);
}

// One that is a user's: nobody knows how long its close takes. There is a count.
inline core::ResourcePtr hold_brought(UniqueFd fd, std::shared_ptr<DescriptorCount> count) {
    return std::make_shared<Descriptor>(std::move(fd), std::move(count), Descriptor::Origin::brought);
}

// Every Resource in procd is a Descriptor.
inline int fd_of(const core::ResourcePtr& resource) {
    return static_cast<const Descriptor&>(*resource).fd.get();
}

}  // namespace procd::loop
