#pragma once

#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

enum class JournalPriority { info, warning };

// A stream into the system's journal: each line written is an entry, with this identifier. Where there is no
// journal this fails, naming its socket. May wait for the journal.
Result<UniqueFd> open_journal_stream(const std::string& identifier, JournalPriority priority);

}  // namespace procd::sys
