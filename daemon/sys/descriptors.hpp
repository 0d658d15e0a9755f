#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace procd::sys {

// Another descriptor of the same open file, close-on-exec.
Result<UniqueFd> duplicate(int fd);
// One that polls readable for ever.
Result<UniqueFd> readable_for_ever();
// Whether it is ready for that now, or broken.
enum class Ready { to_read, to_write, exceptional };
bool is_ready(int fd, Ready what);
// All of it at that place (pwrite(2)), which leaves the descriptor's own place alone. subject: for the error.
Result<void> write_at(int fd, std::string_view text, std::uint64_t at, const std::string& subject);
// From a place on to another, exclusive; less where the file ends before.
Result<std::string> read_between(int fd, std::uint64_t from, std::uint64_t to, const std::string& subject);
// What is there now, up to `most` bytes. Nothing where there is none, or it cannot be read.
std::string read_available(int fd, std::size_t most);
// Whether the path leads to that very file; a symbolic link is not followed.
bool leads_to(const std::string& path, int fd);
struct PipeEnds {
    UniqueFd read, write;
};
// Close-on-exec; reading never waits.
Result<PipeEnds> make_pipe();
// One that stands for nothing, kept so that there is one to give up when there are no more (/dev/null).
UniqueFd placeholder();

}  // namespace procd::sys
