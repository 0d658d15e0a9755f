#pragma once

#include <memory>
#include <utility>

#include "daemon/core/types.hpp"
#include "daemon/sys/unique_fd.hpp"

namespace procd::loop {

// A descriptor that somebody holds through the core, which does not know what it is.
struct Descriptor final : core::Resource {
    explicit Descriptor(sys::UniqueFd owned) : fd(std::move(owned)) {}
    sys::UniqueFd fd;
};

inline core::ResourcePtr hold(sys::UniqueFd fd) {
    return std::make_shared<Descriptor>(std::move(fd));
}

// Every Resource in procd is a Descriptor.
inline int fd_of(const core::ResourcePtr& resource) {
    return static_cast<const Descriptor&>(*resource).fd.get();
}

}  // namespace procd::loop
