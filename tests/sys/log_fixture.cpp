#include "tests/sys/log_fixture.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <doctest/doctest.h>

namespace support {
namespace {

using procd::UniqueFd;

struct Made {
    std::shared_ptr<const UniqueFd> fd;
    std::string path;
};

Made make(const procd::sys::LogDirectory& directory) {
    auto file = directory.create(7, "numbers", procd::sys::LogKind::output, ::geteuid(), ::getegid());
    REQUIRE_MESSAGE(file, file.error().message());
    return {std::make_shared<const UniqueFd>(std::move(file->fd)), file->path};
}

}  // namespace

TempMemory::TempMemory(const std::string& options) {
    const std::string where = dir_.file("memory");
    REQUIRE(::mkdir(where.c_str(), 0755) == 0);
    if (::mount("tmpfs", where.c_str(), "tmpfs", 0, options.c_str()) == 0)
        path_ = where;
    else
        MESSAGE("cannot mount a tmpfs (" << std::strerror(errno) << "): not tested");
}

TempMemory::~TempMemory() {
    if (!path_.empty()) ::umount2(path_.c_str(), MNT_DETACH);
}

NumberedLog::NumberedLog(const procd::sys::LogDirectory& directory, procd::sys::LogLimits limits)
    : log(nullptr, "", 0, 0, limits) {
    auto [fd, path] = make(directory);
    path_ = path;
    fd_ = fd;
    log = procd::sys::TrimmedLog(fd, path, ::geteuid(), ::getegid(), limits);
}

std::string NumberedLog::lines(std::uint64_t from, std::uint64_t to) {
    std::string text;
    for (std::uint64_t number = from; number < to; ++number) {
        const std::string digits = std::to_string(number);
        text.append(k_line - 1 - digits.size(), '0').append(digits).push_back('\n');
    }
    return text;
}

void NumberedLog::write_lines(std::uint64_t count) {
    constexpr std::uint64_t k_together = 1000;
    while (count > 0) {
        const std::string text = lines(next_, next_ + std::min(count, k_together));
        REQUIRE(::write(fd_->get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
        next_ += text.size() / k_line;
        count -= text.size() / k_line;
    }
}

procd::LogIndex NumberedLog::index() const {
    const UniqueFd fd(::open(procd::log_index_path(path_).c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd) return {};
    const auto index = procd::read_log_index(fd.get());
    REQUIRE(index);
    REQUIRE(index->has_value());
    return **index;
}

std::vector<std::uint64_t> NumberedLog::piece_sizes() const {
    std::vector<std::uint64_t> sizes;
    for (std::size_t number = 1; number <= procd::sys::k_most_pieces; ++number) {
        struct stat status {};
        if (::stat(procd::log_piece_path(path_, number).c_str(), &status) != 0) break;
        sizes.push_back(static_cast<std::uint64_t>(status.st_size));
    }
    return sizes;
}

std::string NumberedLog::text() const {
    std::string text;
    for (std::size_t number = piece_sizes().size(); number > 0; --number)
        text += read_file(procd::log_piece_path(path_, number));
    const procd::LogIndex now = index();
    return text + read_file(path_).substr(now.start - now.base);
}

std::uint64_t NumberedLog::check() const {
    const std::string left = text();
    const procd::LogIndex now = index();
    CHECK(now.at_rest());
    CHECK(now.first + left.size() == next_ * k_line);
    std::uint64_t pieces = 0;
    for (const std::uint64_t size : piece_sizes()) pieces += size;
    CHECK(now.first + pieces == now.start);
    std::uint64_t number = (now.first + k_line - 1) / k_line;
    std::size_t at = number * k_line - now.first;
    for (; at < left.size(); at += k_line, ++number) {
        char line[32];
        std::snprintf(line, sizeof line, "%020llu\n", static_cast<unsigned long long>(number));
        REQUIRE(left.compare(at, k_line, line) == 0);
    }
    CHECK(number == next_);
    return left.size();
}

namespace {

procd::sys::LogDirectory open_directory(const std::string& path) {
    auto opened = procd::sys::LogDirectory::open(path);
    REQUIRE_MESSAGE(opened, opened.error().message());
    return std::move(*opened);
}

}  // namespace

TrimPlace::TrimPlace(const std::string& path, procd::sys::LogFeatures features)
    : directory(open_directory(path)),
      cutter(features),
      complaints([this](std::string text) { said.push_back(std::move(text)); }) {}

std::optional<procd::sys::TrimmedLog::Look> TrimPlace::look(NumberedLog& log,
                                                            procd::sys::LogPace::Duration since) {
    return log.log.look(directory, cutter, complaints, since);
}

void TrimPlace::write_and_look(NumberedLog& log, int times, std::uint64_t lines) {
    for (int i = 0; i < times; ++i) {
        log.write_lines(lines);
        const auto seen = look(log);
        REQUIRE(seen);
        REQUIRE(seen->used < k_limit);
    }
}

std::string read_file(const std::string& path) {
    const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE_MESSAGE(fd, path);
    return read_all(fd.get());
}

bool exists(const std::string& path) {
    struct stat status {};
    return ::lstat(path.c_str(), &status) == 0;
}

}  // namespace support
