#pragma once

#include <cstdint>
#include <string_view>

namespace procd {

// FNV-1a, 64 bit (draft-eastlake-fnv): the same in every version and on every machine, against accidents
// only.
constexpr std::uint64_t fnv1a(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
    return hash;
}

}  // namespace procd
