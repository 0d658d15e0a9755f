#include "proto/envelope.hpp"

namespace procd::proto {
namespace {

// Whether brackets outside of strings nest deeper than the limit. Before parsing: a deep value costs its
// parser nothing, but whoever copies or prints it recurses.
bool too_deep(std::string_view text) {
    std::size_t depth = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\')
                ++i;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > k_max_depth) return true;
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return false;
}

WireError invalid(std::string message) {
    return WireError{ErrorKind::invalid_request, std::move(message), OrderedJson::object()};
}

// The JSON parser's message without its own prefix "[json.exception.parse_error.101] ".
std::string plain(const char* what) {
    std::string text = what;
    const std::size_t end = text.starts_with('[') ? text.find("] ") : std::string::npos;
    return end == std::string::npos ? text : text.substr(end + 2);
}

}  // namespace

std::variant<Json, WireError> parse_json(std::string_view text) {
    if (too_deep(text)) return invalid("nested deeper than " + std::to_string(k_max_depth));
    // The parser takes a NUL for the end of the text, whatever follows it.
    if (text.find('\0') != std::string_view::npos)
        return WireError{ErrorKind::parse_error, "not JSON: a NUL byte", OrderedJson::object()};
    try {
        return Json::parse(text);
    } catch (const Json::out_of_range& error) {
        return WireError{ErrorKind::parse_error, "a number is out of range", OrderedJson::object()};
    } catch (const Json::exception& error) {
        return WireError{ErrorKind::parse_error, "not JSON: " + plain(error.what()), OrderedJson::object()};
    }
}

std::variant<Request, BadRequest> parse_request(std::string_view line) {
    auto parsed = parse_json(line);
    if (auto* error = std::get_if<WireError>(&parsed)) return BadRequest{"null", std::move(*error)};
    Json& json = std::get<Json>(parsed);
    if (json.is_array())
        return BadRequest{"null", invalid("batches are not supported: send one request a line")};
    if (!json.is_object()) return BadRequest{"null", invalid("expected a JSON object")};

    Request request;
    if (const auto id = json.find("id"); id != json.end()) {
        if (!id->is_string() && !id->is_number() && !id->is_null())
            return BadRequest{"null", invalid("id: expected a string, a number or null")};
        request.id = dump(*id);
    }
    // A request without an id is never answered, unless it is so broken that nobody can tell whether it had
    // one.
    const auto refuse = [&](std::string message) {
        return BadRequest{request.id, invalid(std::move(message))};
    };
    if (const auto version = json.find("jsonrpc"); version != json.end() && *version != "2.0")
        return refuse("jsonrpc: expected \"2.0\"");
    const auto method = json.find("method");
    if (method == json.end()) return BadRequest{request.id.value_or("null"), invalid("method: is missing")};
    if (!method->is_string())
        return BadRequest{request.id.value_or("null"), invalid("method: expected a string")};
    for (const auto& [key, value] : json.items())
        if (key != "jsonrpc" && key != "id" && key != "method" && key != "params")
            return refuse("unknown member beside jsonrpc, id, method and params");
    request.method = method->get<std::string>();
    if (const auto params = json.find("params"); params != json.end() && !params->is_null())
        request.params = std::move(*params);
    return request;
}

std::string result_line(const std::string& id, const OrderedJson& result) {
    return R"({"jsonrpc":"2.0","id":)" + id + R"(,"result":)" + dump(result) + "}\n";
}

std::string error_line(const std::string& id, const WireError& error) {
    return R"({"jsonrpc":"2.0","id":)" + id + R"(,"error":)" + dump(to_json(error)) + "}\n";
}

std::string notification_line(std::string_view method, const OrderedJson& params) {
    return R"({"jsonrpc":"2.0","method":")" + std::string(method) + R"(","params":)" + dump(params) + "}\n";
}

}  // namespace procd::proto
