#include "daemon/sys/names.hpp"

#include <charconv>
#include <system_error>

namespace procd::sys {
namespace {

constexpr std::size_t k_max_component_bytes = 200;  // file systems take 255; a suffix or two must fit

bool is_plain(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
           byte == '_' || byte == '.' || byte == '-';
}

}  // namespace

std::string escape_name(std::string_view name, std::size_t limit) {
    static constexpr char k_digits[] = "0123456789abcdef";
    std::string escaped;
    for (const char byte : name) {
        const bool plain = is_plain(byte) && !(byte == '.' && escaped.empty());
        if (escaped.size() + (plain ? 1 : 4) > limit) break;
        if (plain) {
            escaped += byte;
        } else {
            const auto code = static_cast<unsigned char>(byte);
            escaped += "\\x";
            escaped += k_digits[code >> 4];
            escaped += k_digits[code & 15];
        }
    }
    return escaped;
}

std::string group_name(long long id, std::string_view name) {
    const std::string prefix = std::to_string(id) + "-";
    return prefix + escape_name(name, k_max_component_bytes - prefix.size());
}

long long id_of_group_name(std::string_view component) {
    long long id = -1;
    const char* const end = component.data() + component.size();
    const auto parsed = std::from_chars(component.data(), end, id);
    return parsed.ec == std::errc{} && parsed.ptr != end && *parsed.ptr == '-' ? id : -1;
}

}  // namespace procd::sys
