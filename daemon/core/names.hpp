#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace procd::core {

// Why a name cannot be given: empty is not (it counts as absent), 255 bytes, UTF-8, no control characters,
// not all digits (that is an id).
std::optional<std::string> name_problem(std::string_view name);

// Shell-like: *, ?, [abc], [a-z], [!x], \ escapes. On bytes.
bool glob_matches(std::string_view pattern, std::string_view text);

}  // namespace procd::core
