#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/core/saved.hpp"

// The journal's text. A line is
//
//     <16 hexadecimal digits> <key> <JSON>\n
//
// the digits being FNV-1a (64 bit) of "<key> <JSON>"; the newest line of a key counts, and one without JSON
// says that there is no such thing any more. So whatever is torn off, overwritten or added costs the lines it
// hits and no other. Keys: "journal" (the first line), "numbers", "p<id>", "o<kind>.<number>". docs/
// containment.md tells people of it.
namespace procd::state {

// What the first line says. It is as long as the next one will be: it can be overwritten in place, even on a
// full disk.
struct Header {
    static constexpr int k_version = 1;
    int version = k_version;
    int readable_by = k_version;  // the oldest version that can read it
    std::string boot_id;
    std::string group;              // the cgroup of the instance: its directory; empty: none
    core::ProcessId unwritten = 0;  // ids up to this may have been given out without being written down
    core::SessionId unwritten_session = 0;
};

std::string line(std::string_view key, std::string_view json);
std::string forgotten(std::string_view key);
std::string header_line(const Header& header);
std::string process_line(const core::Process& process);
std::string owner_line(const core::Owner& owner);
std::string numbers_line(core::ProcessId next_id, core::SessionId next_session);
std::string key_of(core::ProcessId id);
std::string key_of(const core::OwnerKey& owner);

// The newest whole line of each key, as it stands in the text.
struct Lines {
    struct Content {
        std::string_view line;  // with its newline
        std::string_view json;
    };
    std::map<std::string_view, Content> by_key;
    core::ProcessId newest_id = 0;  // of all lines, those of forgotten processes too
    std::size_t broken = 0;         // lines that cannot be read
    bool torn = false;              // and nothing but the last one is
};
Lines lines_of(std::string_view text);

// A text that says the same with every line that counts, and no other.
std::string compacted(std::string_view text);

// All that a text says.
struct Journal {
    std::optional<Header> header;
    core::Saved saved;
    std::size_t broken = 0;  // lines and records that cannot be used
    bool torn = false;       // nothing but the end of the last line is missing
    std::string why;         // of the first record that cannot be used
};
// A header of a version that cannot be read: nothing else is looked at.
Journal read_journal(std::string_view text);
bool is_readable(const Header& header);

}  // namespace procd::state
