#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace procd {

// Where the bytes of a log are. A log is a stream of bytes, numbered from 0 as the child wrote them. What was
// cut off its head is in pieces beside it, "<log>.1" (the newest) to "<log>.N": `cat log.2 log.1 log` is the
// log, as far as it is kept. Who reads along while it is cut needs to know what was moved where: that is in
// "<log>.index", which is there from the first cut on.
//
// It is a sequence lock: its number is odd while procd changes the files. A reader takes the index, reads
// what it wants, and takes the index again; where that has changed, what was read means nothing.
//
// A log that its writer truncates is another stream from there on, of which only the numbers go on, so that
// none is given twice. Who is at a byte of an earlier generation is nowhere in this one.
struct LogIndex {
    std::uint64_t sequence = 0;  // odd: the files are being changed
    std::uint64_t base = 0;      // stream offset of the first byte of the file
    std::uint64_t start = 0;  // of the first one that is still in the file; > base where a hole was punched
    std::uint64_t first = 0;  // of the first byte of the oldest piece; = start where there is none
    std::uint64_t generation = 0;  // how often procd has seen that its writer had truncated it
    std::uint64_t origin = 0;      // stream offset of the first byte that was written since the last time

    bool operator==(const LogIndex&) const = default;
    bool at_rest() const { return sequence % 2 == 0; }
};

// One line of seven numbers of twenty digits, blank-separated, the sequence first and last: a torn read
// shows.
constexpr std::size_t k_log_index_bytes = 7 * 21;

std::string log_index_path(const std::string& log);
// number: 1 is the newest.
std::string log_piece_path(const std::string& log, std::size_t number);

std::string to_text(const LogIndex& index);
// None: torn, or no index at all.
std::optional<LogIndex> parse_log_index(std::string_view text);

// Replaces what stands there, by one write. fd: open for writing.
Result<void> write_log_index(int fd, const LogIndex& index);
// fd: open for reading. None: torn just now, or garbage. An empty file is the index of a log that was never
// cut.
Result<std::optional<LogIndex>> read_log_index(int fd);

// Who writes an index holds it for as long as it lives: so a reader that finds it changing for a long time
// knows a slow disk from a procd that died in the middle. (A lock of the open file, F_OFD_SETLK.) fd: open
// for writing.
Result<void> hold_log_index(int fd);
// Whether somebody holds it. fd: open for reading.
bool log_index_is_held(int fd);

}  // namespace procd
