#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log_index.hpp"
#include "daemon/sys/log_file.hpp"
#include "daemon/sys/trimmed_log.hpp"
#include "tests/sys/support.hpp"

namespace support {

// A file system in memory, mounted for one test. path() is empty where that is not allowed: such tests say
// so.
class TempMemory {
  public:
    explicit TempMemory(const std::string& options);
    ~TempMemory();
    TempMemory(const TempMemory&) = delete;
    TempMemory& operator=(const TempMemory&) = delete;
    const std::string& path() const { return path_; }

  private:
    TempDir dir_;
    std::string path_;
};

// A log with a writer of numbered lines, twenty digits each, and what is left of them to be read.
class NumberedLog {
  public:
    static constexpr std::size_t k_line = 21;

    NumberedLog(const procd::sys::LogDirectory& directory, procd::sys::LogLimits limits);

    // Those of these numbers.
    static std::string lines(std::uint64_t from, std::uint64_t to);
    void write_lines(std::uint64_t count);
    std::uint64_t written() const { return next_; }
    std::string file(const std::string& suffix = "") const { return path_ + suffix; }
    std::shared_ptr<const procd::UniqueFd> fd() const { return fd_; }

    // Pieces and file in a row, as `cat log.2 log.1 log` prints them; holes left out.
    std::string text() const;
    procd::LogIndex index() const;
    std::vector<std::uint64_t> piece_sizes() const;
    // The lines that are left are the newest, each once and whole but for the first, and where the index
    // says. Returns how many bytes are left.
    std::uint64_t check() const;

    procd::sys::TrimmedLog log;

  private:
    std::string path_;
    std::shared_ptr<const procd::UniqueFd> fd_;
    std::uint64_t next_ = 0;
};

// A directory with what trimming needs.
struct TrimPlace {
    static constexpr std::uint64_t k_limit = 256 * 1024;
    static constexpr std::uint64_t k_step = 3000;  // lines between two looks: a quarter of the limit

    explicit TrimPlace(const std::string& path, procd::sys::LogFeatures features = {});

    std::optional<procd::sys::TrimmedLog::Look> look(
        NumberedLog& log, procd::sys::LogPace::Duration since = procd::sys::TrimmedLog::k_calm);
    // Writes and looks, that many times.
    void write_and_look(NumberedLog& log, int times, std::uint64_t lines = k_step);

    std::vector<std::string> said;
    procd::sys::LogDirectory directory;
    procd::sys::LogCutter cutter;
    procd::sys::LogComplaints complaints;
};

std::string read_file(const std::string& path);
bool exists(const std::string& path);

}  // namespace support
