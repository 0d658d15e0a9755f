#pragma once

#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace procctl {

// Bytes on their way from a read to a write, at most `capacity` of them: who fills it waits for who empties
// it.
class ByteQueue {
  public:
    explicit ByteQueue(std::size_t capacity) : bytes_(capacity) {}

    bool empty() const { return begin_ == end_; }
    bool full() const { return end_ - begin_ == bytes_.size(); }

    // Where to read to; filled() says how much came.
    std::span<char> space() {
        if (begin_ > 0) {
            std::memmove(bytes_.data(), bytes_.data() + begin_, end_ - begin_);
            end_ -= std::exchange(begin_, 0);
        }
        return std::span(bytes_).subspan(end_);
    }
    void filled(std::size_t count) { end_ += count; }

    // What is to be written; taken() says how much was.
    std::string_view front() const { return {bytes_.data() + begin_, end_ - begin_}; }
    void taken(std::size_t count) { begin_ += count; }
    void clear() { begin_ = end_ = 0; }

  private:
    std::vector<char> bytes_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

}  // namespace procctl
