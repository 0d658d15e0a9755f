#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

// This process becomes another program (execve(2)): same pid, same children, and the descriptors that are
// named stay open.

// A file in memory with this text (memfd_create(2)), close-on-exec.
Result<UniqueFd> make_state_memory(const std::string& text);
// Everything in it.
Result<std::string> read_state_memory(int fd);

// Does not return where it succeeds. All other threads are ended by it, wherever they are.
SysError replace_program(const std::string& program, const std::vector<std::string>& arguments,
                         const std::vector<int>& kept);
// After that, in the new program: nothing that was kept is for its children. What was kept and is not wanted
// is closed by close_others.
void set_close_on_exec(int fd);
void close_others(const std::vector<int>& kept);

}  // namespace procd::sys
