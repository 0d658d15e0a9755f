#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace procd::sys {

// A name as one component of a path: letters, digits, "_", "." and "-" stay, every other byte becomes \xHH,
// and so does a leading dot. Cut, never inside a \xHH, to what fits in limit bytes.
std::string escape_name(std::string_view name, std::size_t limit);

// "7-web": what a process's group is called.
std::string group_name(long long id, std::string_view name);
// The id of such a name; -1: it is none.
long long id_of_group_name(std::string_view component);

}  // namespace procd::sys
