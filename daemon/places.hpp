#pragma once

#include <string>

#include "daemon/options.hpp"

namespace procd {

// Where procd's files are, by its options, its environment and whose it is. Absolute.
struct Places {
    std::string socket;
    std::string log_dir;
    std::string runtime_dir;  // of the journal; empty: the socket's
    bool make_parents = false;
};
Places places(const Options& options, bool root);

// Beside the socket, or in the runtime directory under the socket's name.
std::string journal_of(const std::string& socket, const Places& places);

}  // namespace procd
