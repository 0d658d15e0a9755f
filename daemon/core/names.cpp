#include "daemon/core/names.hpp"

#include <algorithm>

namespace procd::core {
namespace {

constexpr std::size_t k_max_name_bytes = 255;

// Whether the class that starts behind '[' takes c; `rest` becomes what follows the ']'. A '[' without its
// ']' is an ordinary character: false with `rest` unchanged.
bool class_matches(std::string_view pattern, char c, std::string_view& rest, bool& closed) {
    std::size_t i = 0;
    const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
    if (negated) ++i;
    bool found = false;
    const std::size_t first = i;
    for (; i < pattern.size() && (pattern[i] != ']' || i == first); ++i) {
        if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
            const auto low = static_cast<unsigned char>(pattern[i]),
                       high = static_cast<unsigned char>(pattern[i + 2]);
            const auto value = static_cast<unsigned char>(c);
            found = found || (low <= value && value <= high);
            i += 2;
        } else {
            found = found || pattern[i] == c;
        }
    }
    closed = i < pattern.size();
    if (closed) rest = pattern.substr(i + 1);
    return closed && found != negated;
}

// Whether the first element of the pattern takes c; `rest` is what follows that element.
bool element_matches(std::string_view pattern, char c, std::string_view& rest) {
    rest = pattern.substr(1);
    if (pattern[0] == '?') return true;
    if (pattern[0] == '\\' && pattern.size() > 1) {
        rest = pattern.substr(2);
        return pattern[1] == c;
    }
    if (pattern[0] == '[') {
        bool closed = false;
        const bool matches = class_matches(pattern.substr(1), c, rest, closed);
        if (closed) return matches;
    }
    return pattern[0] == c;
}

}  // namespace

std::optional<std::string> name_problem(std::string_view name) {
    if (name.size() > k_max_name_bytes) return "a name has at most 255 bytes";
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (std::any_of(name.begin(), name.end(), is_control)) return "a name has no control characters";
    // U+0080 to U+009F, in UTF-8 C2 80 to C2 9F, are controls too.
    for (std::size_t i = 0; i + 1 < name.size(); ++i)
        if (static_cast<unsigned char>(name[i]) == 0xc2 && static_cast<unsigned char>(name[i + 1]) < 0xa0)
            return "a name has no control characters";
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!name.empty() && std::all_of(name.begin(), name.end(), is_digit))
        return "a name is not all digits: that is an id";
    return std::nullopt;
}

bool glob_matches(std::string_view pattern, std::string_view text) {
    // On a mismatch only the last '*' need take one more: linear in practice, quadratic at worst.
    std::string_view star_pattern, star_text;
    bool have_star = false;
    while (!text.empty() || !pattern.empty()) {
        if (!pattern.empty() && pattern[0] == '*') {
            pattern.remove_prefix(1);
            star_pattern = pattern;
            star_text = text;
            have_star = true;
            continue;
        }
        std::string_view rest;
        if (!pattern.empty() && !text.empty() && element_matches(pattern, text[0], rest)) {
            pattern = rest;
            text.remove_prefix(1);
            continue;
        }
        if (!have_star || star_text.empty()) return false;
        star_text.remove_prefix(1);
        pattern = star_pattern;
        text = star_text;
    }
    return true;
}

}  // namespace procd::core
