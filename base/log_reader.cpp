#include "base/log_reader.hpp"

#include <algorithm>
#include <span>
#include <utility>

namespace procd {
namespace {

// Where text ends that does not end within a UTF-8 character; all of it where it is no UTF-8 anyway.
std::size_t whole_characters(std::string_view text) {
    constexpr std::size_t k_longest = 4;
    for (std::size_t back = 1; back < k_longest && back < text.size(); ++back) {
        const auto byte = static_cast<unsigned char>(text[text.size() - back]);
        if (byte >> 6 == 2) continue;  // inside of one
        const std::size_t length = byte >> 3 == 30 ? 4 : byte >> 4 == 14 ? 3 : byte >> 5 == 6 ? 2 : 1;
        return length > back ? text.size() - back : text.size();
    }
    return text.size();
}

}  // namespace

Result<LogReader::Filled> LogReader::fill(std::uint64_t offset, std::size_t most) {
    Filled filled;
    if (until_) {
        const std::uint64_t left = *until_ - std::min(offset, *until_);
        filled.ended = left <= most;
        most = std::min<std::uint64_t>(left, most);
    }
    while (filled.size < most) {
        const std::uint64_t at = offset + filled.size;
        const auto more = files_.read(at, std::span(buffer_).subspan(filled.size, most - filled.size));
        if (!more) return more.error();
        if (files_.truncations() != truncations_) return Filled{};
        if (more->begin != at) {
            filled.ended = false;
            break;
        }
        if (more->size == 0) {
            filled.ended = true;
            break;
        }
        filled.size += more->size;
    }
    return filled;
}

// ---- where to begin --------------------------------------------------------------------------------------

void LogReader::begin_at(std::uint64_t offset, bool torn) {
    position_ = offset;
    torn_ = torn;
    truncations_ = files_.truncations();
}

void LogReader::begin_at_first(const LogFiles::Extent& extent) {
    begin_at(extent.first, extent.first != files_.origin());
}

Result<void> LogReader::go_on_at(const LogFiles::Place& place, bool following) {
    const auto extent = files_.extent();
    if (!extent) return extent.error();
    if (!following) until_ = extent->end;
    if (files_.place_of(0).generation == place.generation) {
        begin_at(place.offset, false);
    } else {
        begin_at_first(*extent);
        untold_.truncated = true;
    }
    return {};
}

Result<void> LogReader::begin_at_last(std::optional<std::uint64_t> lines, bool following) {
    const auto extent = files_.extent();
    if (!extent) return extent.error();
    truncations_ = files_.truncations();
    if (!following) until_ = extent->end;
    if (lines && (*lines > 0 || following)) return search_backwards(*extent, *lines);
    if (lines)
        begin_at(extent->end, false);
    else
        begin_at_first(*extent);
    return {};
}

// Every line but an unfinished last one has its newline; the beginning of the n-th last one is behind the
// newline of that before it. Of no lines at all: behind the last newline.
Result<void> LogReader::search_backwards(const LogFiles::Extent& extent, std::uint64_t lines) {
    std::uint64_t found = 0;
    for (std::uint64_t end = extent.end; end > extent.first;) {
        const std::uint64_t begin = end - std::min<std::uint64_t>(end - extent.first, buffer_.size());
        const auto filled = fill(begin, static_cast<std::size_t>(end - begin));
        if (!filled) return filled.error();
        if (begin + filled->size < end) {  // cut off meanwhile: what is left begins later
            const auto now = files_.extent();
            if (!now) return now.error();
            begin_at_first(*now);
            return {};
        }
        const std::string_view block(buffer_.data(), filled->size);
        for (std::size_t at = block.rfind('\n'); at != std::string_view::npos;
             at = at == 0 ? std::string_view::npos : block.rfind('\n', at - 1)) {
            const std::uint64_t behind = begin + at + 1;
            if (behind == extent.end && lines > 0) continue;  // ends the last line
            if (++found < lines) continue;
            begin_at(behind, false);
            return {};
        }
        end = begin;
    }
    begin_at_first(extent);
    return {};
}

// ---- what comes ------------------------------------------------------------------------------------------

std::size_t LogReader::passable(const Filled& filled, bool complete) const {
    const std::string_view text(buffer_.data(), filled.size);
    if (complete && filled.ended) return text.size();
    if (const std::size_t newline = text.rfind('\n'); newline != std::string_view::npos) return newline + 1;
    return text.size() == buffer_.size() ? whole_characters(text) : 0;
}

bool LogReader::skip_torn_line(const Filled& filled, bool complete, Lines& lines) {
    const std::string_view text(buffer_.data(), filled.size);
    std::size_t skipped = 0;
    if (const std::size_t newline = text.find('\n'); newline != std::string_view::npos)
        skipped = newline + 1;
    else if (text.size() == buffer_.size())
        skipped = 0;  // too long to be left out
    else if (complete && filled.ended)
        skipped = text.size();
    else
        return false;
    torn_ = false;
    position_ += skipped;
    if (lines.dropped > 0) lines.dropped += skipped;
    return true;
}

// Who does not follow gets what is there of it now.
Result<bool> LogReader::begins_anew(Lines& lines) {
    if (files_.truncations() == truncations_) return false;
    if (until_) {
        const auto extent = files_.extent();
        if (!extent) return extent.error();
        until_ = extent->end;
    }
    begin_at(files_.origin(), false);
    lines.truncated = true;
    return true;
}

Result<LogReader::Lines> LogReader::next(bool complete) {
    Lines lines = std::exchange(untold_, {});
    for (;;) {
        const auto filled = fill(position_, buffer_.size());
        if (!filled) return filled.error();
        const auto anew = begins_anew(lines);
        if (!anew) return anew.error();
        if (*anew) continue;
        if (torn_ && filled->size > 0) {
            if (skip_torn_line(*filled, complete, lines)) continue;
            untold_ = lines;
            return Lines{};
        }
        const std::size_t size = passable(*filled, complete);
        position_ += size;
        lines.text = {buffer_.data(), size};
        if (size > 0 || filled->ended) return lines;
        // What was to follow is not there: cut off before it was read, or the log was truncated.
        const auto there = files_.read(position_, std::span(buffer_).first(1));
        if (!there) return there.error();
        if (files_.truncations() != truncations_ || there->begin == position_) continue;
        torn_ = true;
        lines.dropped += there->begin - position_;
        position_ = there->begin;
    }
}

}  // namespace procd
