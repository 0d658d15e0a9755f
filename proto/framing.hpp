#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace procd::proto {

// A longer line is refused, drained to its newline, and the connection lives on.
constexpr std::size_t k_max_line_bytes = std::size_t{8} << 20;

// Cuts a stream of bytes into lines, however it is split. "\r\n" and blank lines are tolerated. Pure bytes.
//
//     reader.feed(bytes);
//     while (auto line = reader.next()) …
class LineReader {
  public:
    struct Line {
        std::string text;       // without its newline; empty where too_long
        bool too_long = false;  // it was over the limit; told as soon as that is known
        // Where it stood in the stream, newline included: [begin, end). Descriptors belong to the line that
        // holds the last byte of the message that brought them.
        std::uint64_t begin = 0, end = 0;
    };

    explicit LineReader(std::size_t max_bytes = k_max_line_bytes) : max_bytes_(max_bytes) {}

    void feed(std::string_view bytes);
    // The next whole line, or nothing until more bytes come. After the end of the stream, finish() first.
    std::optional<Line> next();
    // No more bytes will come: what stands without a newline is a line, too.
    void finish();
    // Whether next() would give something now.
    bool has_line() const;
    // Bytes held back.
    std::size_t pending() const { return buffer_.size() - start_; }
    // What is held back, for another reader to be fed with; and whether it is the rest of a line that was too
    // long, which that one is to drain as well.
    std::string_view held() const { return std::string_view(buffer_).substr(start_); }
    bool draining() const { return draining_; }
    void drain() { draining_ = true; }
    // Bytes fed so far.
    std::uint64_t fed() const { return fed_; }

  private:
    std::size_t max_bytes_;
    std::string buffer_;
    std::uint64_t fed_ = 0;    // stream offset of the end of buffer_
    std::size_t start_ = 0;    // of the bytes not given out yet
    std::size_t scanned_ = 0;  // no newline before this
    bool draining_ = false;    // inside a line that was too long
};

}  // namespace procd::proto
