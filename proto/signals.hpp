#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace procd::proto {

// The number of "TERM", "SIGTERM", "term", "RTMIN+1" or "RTMAX-2"; signal(7).
std::optional<int> signal_number(std::string_view name);
// "SIGTERM", "SIGRTMIN+1"; "signal 99" where it has no name.
std::string signal_name(int number);
// SIGRTMAX.
int signal_highest();

}  // namespace procd::proto
