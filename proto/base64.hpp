#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace procd::proto {

// RFC 4648 §4, with padding. Decoding refuses anything else: no white space, no missing padding, no stray
// bits.
std::string base64_encode(std::string_view bytes);
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace procd::proto
