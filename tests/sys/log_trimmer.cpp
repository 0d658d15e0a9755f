#include "tests/sys/log_trimmer.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <doctest/doctest.h>

namespace support {
namespace {

constexpr std::uint64_t k_block = 4096;

void cut(int fd, LogTrimmer::How how, std::uint64_t offset, std::uint64_t size, int& error) {
    const int mode = how == LogTrimmer::How::collapse ? FALLOC_FL_COLLAPSE_RANGE
                                                      : FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    int result;
    do {
        result = ::fallocate(fd, mode, static_cast<off_t>(offset), static_cast<off_t>(size));
    } while (result != 0 && errno == EINTR);
    error = result == 0 ? 0 : errno;
}

}  // namespace

LogTrimmer::LogTrimmer(const std::string& path, How how, std::size_t keep)
    : path_(path), how_(how), keep_(keep), file_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
    REQUIRE(file_);
}

void LogTrimmer::say() {
    if (!index_file_) {
        index_file_.reset(::open(procd::log_index_path(path_).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        REQUIRE(procd::hold_log_index(index_file_.get()));
    }
    REQUIRE(procd::write_log_index(index_file_.get(), index_));
}

void LogTrimmer::move_pieces() {
    if (keep_ == 0) return;
    ::unlink(procd::log_piece_path(path_, keep_).c_str());
    for (std::size_t number = keep_; number > 1; --number)
        ::rename(procd::log_piece_path(path_, number - 1).c_str(),
                 procd::log_piece_path(path_, number).c_str());
    ::rename((path_ + ".1.part").c_str(), procd::log_piece_path(path_, 1).c_str());
}

void LogTrimmer::copy_head(std::uint64_t offset, std::uint64_t size) {
    const procd::UniqueFd part(
        ::open((path_ + ".1.part").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    REQUIRE(part);
    auto from = static_cast<off_t>(offset);
    while (size > 0) {
        const ssize_t copied = ::copy_file_range(file_.get(), &from, part.get(), nullptr, size, 0);
        REQUIRE(copied > 0);
        size -= static_cast<std::uint64_t>(copied);
    }
}

void LogTrimmer::cut_head(std::uint64_t size) {
    int error = 0;
    if (how_ == How::collapse) {
        cut(file_.get(), how_, 0, size, error);
        index_.base += size;
    } else {
        cut(file_.get(), how_, 0, index_.start + size, error);
    }
    REQUIRE(error == 0);
    index_.start += size;
}

bool LogTrimmer::begin_cut(std::uint64_t rest) {
    struct stat status {};
    REQUIRE(::fstat(file_.get(), &status) == 0);
    const std::uint64_t there = static_cast<std::uint64_t>(status.st_size) - (index_.start - index_.base);
    if (there <= rest) return false;
    const std::uint64_t size = (there - rest - 1) / k_block * k_block;
    if (size == 0) return false;
    if (keep_ > 0) copy_head(index_.start - index_.base, size);
    ++index_.sequence;
    say();
    move_pieces();
    cut_head(size);
    std::uint64_t first = index_.start;
    for (std::size_t number = 1; number <= keep_; ++number)
        if (struct stat piece{}; ::stat(procd::log_piece_path(path_, number).c_str(), &piece) == 0)
            first -= static_cast<std::uint64_t>(piece.st_size);
    index_.first = first;
    return true;
}

bool LogTrimmer::trim(std::uint64_t rest) {
    if (!begin_cut(rest)) return false;
    ++index_.sequence;
    say();
    return true;
}

void LogTrimmer::trim_slowly(std::chrono::milliseconds time) {
    REQUIRE(begin_cut(0));
    std::this_thread::sleep_for(time);
    ++index_.sequence;
    say();
}

void LogTrimmer::trim_and_die() {
    REQUIRE(begin_cut(0));
    index_file_.reset();
}

bool LogTrimmer::works(const std::string& directory, How how) {
    const std::string path = directory + "/try";
    const procd::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!fd || ::ftruncate(fd.get(), 4 * k_block) != 0) return false;
    int error = 0;
    cut(fd.get(), how, 0, k_block, error);
    ::unlink(path.c_str());
    return error == 0;
}

LogPlace::LogPlace(LogTrimmer::How how) {
    for (const std::string& parent : {std::filesystem::temp_directory_path().string(),
                                      std::string("/var/tmp"), std::string("/dev/shm")}) {
        std::string made = parent + "/procd-log-XXXXXX";
        if (::mkdtemp(made.data()) == nullptr) continue;
        if (LogTrimmer::works(made, how)) {
            path_ = made;
            return;
        }
        ::rmdir(made.c_str());
    }
    MESSAGE("no file system here on which a log can be cut that way: passed over");
}

LogPlace::~LogPlace() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace support
