#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace procd {

// "1000", "64K", "16M", "2G": a number of bytes, the letter (also in lower case) for 1024 of it to the power
// of one to three. None: it is none, or does not fit in 63 bits (what JSON's integers take everywhere).
std::optional<std::uint64_t> parse_size(std::string_view text);

}  // namespace procd
