#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace procd::proto {

// What is received is held in sorted maps (a line with a million keys is no attack); what is sent keeps the
// order of the field lists, for the people who read it.
using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

// Compact text. Bytes that are not UTF-8 become U+FFFD instead of an exception.
inline std::string dump(const OrderedJson& value) {
    return value.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}
inline std::string dump(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace procd::proto
