#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <sys/types.h>

#include "base/log_index.hpp"
#include "base/unique_fd.hpp"

namespace support {

// Cuts a log the way that its format says (base/log_index.hpp): what the tests of its readers need to stand
// beside.
class LogTrimmer {
  public:
    enum class How { collapse, punch };
    static constexpr std::array k_ways = {How::collapse, How::punch};

    LogTrimmer(const std::string& path, How how, std::size_t keep);

    // Cuts off what is whole blocks, but for the last `rest` bytes. False: there is no whole block.
    bool trim(std::uint64_t rest = 0);
    // A cut that takes so long.
    void trim_slowly(std::chrono::milliseconds time);
    // A cut that stops in the middle, as by SIGKILL: everything is done but for the last word in the index.
    void trim_and_die();

    const procd::LogIndex& index() const { return index_; }
    // Whether this file system can do it.
    static bool works(const std::string& directory, How how);

  private:
    void say();
    void move_pieces();
    void copy_head(std::uint64_t offset, std::uint64_t size);
    void cut_head(std::uint64_t size);
    bool begin_cut(std::uint64_t rest);

    std::string path_;
    How how_;
    std::size_t keep_;
    procd::UniqueFd file_, index_file_;
    procd::LogIndex index_;
};

// A directory for a log, on a file system where that way of cutting works: on disk or in /dev/shm. Empty:
// there is none.
class LogPlace {
  public:
    explicit LogPlace(LogTrimmer::How how);
    ~LogPlace();
    LogPlace(const LogPlace&) = delete;
    LogPlace& operator=(const LogPlace&) = delete;
    const std::string& path() const { return path_; }
    std::string log() const { return path_ + "/1-x.log"; }

  private:
    std::string path_;
};

}  // namespace support
