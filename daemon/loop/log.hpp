#pragma once

#include <string>

namespace procd::loop {

// procd's own log, on stderr: with the time for people, with priorities where the journal reads it.
void open_log();
void log_info(const std::string& text);
void log_warning(const std::string& text);
void log_error(const std::string& text);

}  // namespace procd::loop
