#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "proto/types.hpp"

// Text for terminals. Pure.
namespace procctl {

// Nothing in it moves the cursor, ends the line or turns the writing direction: control characters and bytes
// that are no UTF-8 become \xHH; bidi controls and line and paragraph separators \u{HHHH}.
std::string escaped(std::string_view text);

// Columns that a terminal takes for UTF-8 text: 2 for wide characters and emoji, 0 for combining ones. No
// locale.
std::size_t display_width(std::string_view text);

// At most that many columns; what is cut is marked by "…".
std::string cut_to(std::string_view text, std::size_t columns);

// Words as one would type them into a shell, escaped.
std::string command_text(const std::vector<procd::proto::Bytes>& command);

}  // namespace procctl
