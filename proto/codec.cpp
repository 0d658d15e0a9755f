#include "proto/codec.hpp"

namespace procd::proto {

std::string Path::text() const {
    std::string text = parent ? parent->text() : std::string();
    if (index) return text + "[" + std::to_string(*index) + "]";
    if (!text.empty()) text += '.';
    return text.append(key);
}

void decode_integer(const Json& json, std::int64_t& out, const Path& path, std::int64_t low,
                    std::int64_t high) {
    if (!json.is_number_integer()) throw DecodeError(path, "expected an integer");
    const bool too_big =
        json.is_number_unsigned() &&
        json.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    if (!too_big) out = json.get<std::int64_t>();
    if (too_big || out < low || out > high)
        throw DecodeError(path, "out of range (" + std::to_string(low) + " to " + std::to_string(high) + ")");
}

void decode_text(const Json& json, std::string& out, const Path& path) {
    if (!json.is_string()) throw DecodeError(path, "expected a string");
    out = json.get_ref<const std::string&>();
}

void decode_number(const Json& json, double& out, const Path& path) {
    if (!json.is_number()) throw DecodeError(path, "expected a number");
    out = json.get<double>();
    if (!std::isfinite(out)) throw DecodeError(path, "out of range");
}

void fail_enum(const Path& path, const std::string_view* names, std::size_t count) {
    std::string message = "expected one of";
    for (std::size_t i = 0; i < count; ++i) message.append(i ? ", \"" : " \"").append(names[i]).append("\"");
    throw DecodeError(path, message);
}

void require_object(const Json& json, const Path& path) {
    if (!json.is_object()) throw DecodeError(path, "expected an object");
}

void fail_unknown(const Path& path, const std::string& key) {
    constexpr std::size_t k_shown = 100;  // a key may be as long as a line
    const std::string shown = key.substr(0, k_shown);
    throw DecodeError(Path{&path, shown, std::nullopt}, "unknown parameter");
}

}  // namespace procd::proto
