#pragma once

#include <memory>
#include <utility>

#include "base/unique_fd.hpp"
#include "daemon/core/types.hpp"

namespace procd::loop {

// A descriptor that somebody holds through the core, which does not know what it is.
struct Descriptor final : core::Resource {
    explicit Descriptor(UniqueFd owned) : fd(std::move(owned)) {}
    UniqueFd fd;
};

inline core::ResourcePtr hold(UniqueFd fd) {
    return std::make_shared<Descriptor>(std::move(fd));
}

// Every Resource in procd is a Descriptor.
inline int fd_of(const core::ResourcePtr& resource) {
    return static_cast<const Descriptor&>(*resource).fd.get();
}

}  // namespace procd::loop
