#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/log_reader.hpp"

// What the tests of those who read logs share.
namespace support {

void append(const std::string& path, const std::string& text);

// "0000000\n" and so on: eight bytes each.
std::string numbered(std::size_t from, std::size_t to);

procd::LogReader reader_of(const std::string& path);

struct All {
    std::string text;
    std::uint64_t dropped = 0;
    std::size_t largest = 0;
    bool truncated = false;
};

// Until there is nothing more for now.
All read_all_of(procd::LogReader& reader, bool complete = true);

std::string last_lines(const std::string& path, std::optional<std::uint64_t> lines);

}  // namespace support
