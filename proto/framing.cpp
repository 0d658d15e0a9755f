#include "proto/framing.hpp"

#include <algorithm>

namespace procd::proto {
namespace {

constexpr std::size_t k_kept_capacity = std::size_t{64} << 10;  // of an idle connection's buffer

}  // namespace

void LineReader::feed(std::string_view bytes) {
    fed_ += bytes.size();
    if (draining_) {
        const std::size_t newline = bytes.find('\n');
        if (newline == std::string_view::npos) return;
        bytes.remove_prefix(newline + 1);
        draining_ = false;
    }
    if (start_ == buffer_.size()) {
        buffer_.clear();
        start_ = scanned_ = 0;
    }
    buffer_.append(bytes);
}

std::optional<LineReader::Line> LineReader::next() {
    for (;;) {
        const std::size_t newline = buffer_.find('\n', scanned_);
        const std::size_t end = newline == std::string::npos ? buffer_.size() : newline;
        const std::uint64_t origin = fed_ - buffer_.size();  // stream offset of buffer_[0]
        const std::uint64_t begin = origin + start_;
        if (end - start_ > max_bytes_) {
            draining_ = newline == std::string::npos;
            start_ = scanned_ = draining_ ? end : newline + 1;
            return Line{{}, true, begin, origin + start_};
        }
        if (newline == std::string::npos) {
            scanned_ = buffer_.size();
            // Give the room of lines that are done back before the next ones come.
            if (start_ > 0) {
                buffer_.erase(0, start_);
                scanned_ -= start_;
                start_ = 0;
            }
            if (buffer_.empty() && buffer_.capacity() > k_kept_capacity) buffer_.shrink_to_fit();
            return std::nullopt;
        }
        std::size_t length = newline - start_;
        if (length > 0 && buffer_[newline - 1] == '\r') --length;
        Line line{buffer_.substr(start_, length), false, begin, origin + newline + 1};
        start_ = scanned_ = newline + 1;
        if (line.text.find_first_not_of(" \t") != std::string::npos) return line;
    }
}

void LineReader::finish() {
    if (draining_ || pending() == 0) return;
    buffer_ += '\n';
    ++fed_;
}

bool LineReader::has_line() const {
    return pending() > max_bytes_ || buffer_.find('\n', std::max(start_, scanned_)) != std::string::npos;
}

}  // namespace procd::proto
