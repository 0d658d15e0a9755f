#include "base/log_index.hpp"

#include <array>
#include <cerrno>
#include <charconv>
#include <fcntl.h>
#include <unistd.h>

namespace procd {
namespace {

constexpr std::size_t k_digits = 20;  // of 2^64

std::string padded(std::uint64_t number) {
    const std::string digits = std::to_string(number);
    return std::string(k_digits - digits.size(), '0') + digits;
}

// All of the file.
struct flock whole_file(short type) {
    struct flock lock {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    return lock;
}

}  // namespace

std::string log_index_path(const std::string& log) {
    return log + ".index";
}

std::string log_piece_path(const std::string& log, std::size_t number) {
    return log + "." + std::to_string(number);
}

std::string to_text(const LogIndex& index) {
    std::string text;
    for (const std::uint64_t number :
         {index.sequence, index.base, index.start, index.first, index.generation, index.origin})
        text += padded(number) + " ";
    return text + padded(index.sequence) + "\n";
}

std::optional<LogIndex> parse_log_index(std::string_view text) {
    if (text.size() != k_log_index_bytes) return std::nullopt;
    std::array<std::uint64_t, 7> numbers{};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        const std::string_view field = text.substr(i * (k_digits + 1), k_digits + 1);
        const char* const end = field.data() + k_digits;
        const auto [stop, error] = std::from_chars(field.data(), end, numbers[i]);
        const bool last = i + 1 == numbers.size();
        if (error != std::errc() || stop != end || *end != (last ? '\n' : ' ')) return std::nullopt;
    }
    const auto& [sequence, base, start, first, generation, origin, again] = numbers;
    if (sequence != again || origin > first || first > start || base > start) return std::nullopt;
    return LogIndex{sequence, base, start, first, generation, origin};
}

Result<void> write_log_index(int fd, const LogIndex& index) {
    const std::string text = to_text(index);
    ssize_t written;
    do {
        written = ::pwrite(fd, text.data(), text.size(), 0);
    } while (written < 0 && errno == EINTR);
    if (written < 0) return SysError{"write", "the index of a log", errno};
    if (static_cast<std::size_t>(written) != text.size())
        return SysError{"write", "the index of a log", ENOSPC};
    return {};
}

Result<std::optional<LogIndex>> read_log_index(int fd) {
    std::array<char, k_log_index_bytes + 1> bytes;
    ssize_t got;
    do {
        got = ::pread(fd, bytes.data(), bytes.size(), 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0) return SysError{"read", "the index of a log", errno};
    if (got == 0) return std::optional<LogIndex>(LogIndex{});
    return parse_log_index({bytes.data(), static_cast<std::size_t>(got)});
}

Result<void> hold_log_index(int fd) {
    struct flock lock = whole_file(F_WRLCK);
    if (::fcntl(fd, F_OFD_SETLK, &lock) != 0) return SysError{"lock", "the index of a log", errno};
    return {};
}

bool log_index_is_held(int fd) {
    struct flock lock = whole_file(F_RDLCK);
    return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace procd
