#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "proto/error.hpp"
#include "proto/json.hpp"

namespace procd::proto {

constexpr std::size_t k_max_depth = 64;  // of nesting in a line

// A request as it came. `id` is the JSON text of its id ("7", "\"a\"", "null"), given back as it is; none: a
// notification, done and never answered.
struct Request {
    std::optional<std::string> id;
    std::string method;
    Json params = Json::object();
};

// A line that is no request: what to answer, and under which id (null where none could be read).
struct BadRequest {
    std::optional<std::string> id;
    WireError error;
};

// JSON-RPC 2.0, one object a line; `jsonrpc` may be missing. Never throws.
std::variant<Request, BadRequest> parse_request(std::string_view line);

// Lines, each with its newline.
std::string result_line(const std::string& id, const OrderedJson& result);
std::string error_line(const std::string& id, const WireError& error);
std::string notification_line(std::string_view method, const OrderedJson& params);

// Decodes parameters: every value checked, unknown ones refused; the error names the path ("params.name: …").
template <class T>
std::variant<T, WireError> decode_params(const Json& params);

// JSON text → value, or why not. Depth is limited before anything is built.
std::variant<Json, WireError> parse_json(std::string_view text);

}  // namespace procd::proto

#include "proto/codec.hpp"

namespace procd::proto {

template <class T>
std::variant<T, WireError> decode_params(const Json& params) {
    try {
        T message;
        decode_fields(params, message, Path{nullptr, "params", std::nullopt}, Unknown::refuse);
        return message;
    } catch (const DecodeError& error) {
        return WireError{ErrorKind::bad_request, error.what(), OrderedJson::object()};
    }
}

}  // namespace procd::proto
