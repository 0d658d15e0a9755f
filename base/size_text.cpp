#include "base/size_text.hpp"

#include <charconv>
#include <limits>
#include <system_error>

namespace procd {

std::optional<std::uint64_t> parse_size(std::string_view text) {
    constexpr auto k_most = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    std::uint64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || end - stop > 1) return std::nullopt;
    unsigned shift = 0;
    if (stop != end) {
        const std::size_t power = std::string_view("kKmMgG").find(*stop);
        if (power == std::string_view::npos) return std::nullopt;
        shift = 10 * (static_cast<unsigned>(power) / 2 + 1);
    }
    if (number > k_most >> shift) return std::nullopt;
    return number << shift;
}

}  // namespace procd
