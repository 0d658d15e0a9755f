#include "tests/sys/log_reading.hpp"

#include <algorithm>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include <doctest/doctest.h>

#include "base/unique_fd.hpp"

namespace support {

using namespace procd;

void append(const std::string& path, const std::string& text) {
    const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    REQUIRE(::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

std::string numbered(std::size_t from, std::size_t to) {
    std::string text;
    for (std::size_t i = from; i < to; ++i) {
        const std::string digits = std::to_string(i);
        text += std::string(7 - digits.size(), '0') + digits + "\n";
    }
    return text;
}

LogReader reader_of(const std::string& path) {
    auto files = LogFiles::open(path);
    REQUIRE(files);
    return LogReader(std::move(*files));
}

All read_all_of(LogReader& reader, bool complete) {
    All all;
    for (;;) {
        const auto lines = reader.next(complete);
        REQUIRE(lines);
        all.text += lines->text;
        all.dropped += lines->dropped;
        all.truncated = all.truncated || lines->truncated;
        all.largest = std::max(all.largest, lines->text.size());
        if (lines->text.empty()) return all;
    }
}

std::string last_lines(const std::string& path, std::optional<std::uint64_t> lines) {
    LogReader reader = reader_of(path);
    REQUIRE(reader.begin_at_last(lines, false));
    return read_all_of(reader).text;
}

}  // namespace support
