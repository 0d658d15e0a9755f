#include <string>

#include <doctest/doctest.h>

#include "proto/envelope.hpp"

using namespace procd::proto;

namespace {

Request request(std::string_view line) {
    auto parsed = parse_request(line);
    if (const auto* bad = std::get_if<BadRequest>(&parsed)) FAIL(bad->error.message);
    return std::get<Request>(parsed);
}

// "kind id: message".
std::string problem(std::string_view line) {
    auto parsed = parse_request(line);
    const auto* bad = std::get_if<BadRequest>(&parsed);
    if (!bad) return "none";
    return std::string(to_text(bad->error.kind)) + " " + bad->id.value_or("-") + ": " + bad->error.message;
}
std::string kind(std::string_view line) {
    const std::string text = problem(line);
    return text.substr(0, text.find(' '));
}

std::string nested(std::size_t depth) {
    return R"({"method":"x","params":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
}

}  // namespace

TEST_CASE("a request is an object with a method; jsonrpc, id and params may be missing") {
    const Request plain = request(R"({"method":"hello"})");
    CHECK(plain.method == "hello");
    CHECK_FALSE(plain.id);
    CHECK(plain.params == Json::object());
    const Request full = request(R"({"jsonrpc":"2.0","id":7,"method":"status","params":{"process":1}})");
    CHECK(full.id == "7");
    CHECK(full.params == Json{{"process", 1}});
    CHECK(request(R"({"method":"x","params":null})").params == Json::object());
    CHECK(request(R"({"method":"x","params":[1]})").params == Json::array({1}));
}

TEST_CASE("an id is a string, a number or null, and comes back as it was") {
    for (const char* id :
         {"7", "-1", "0", "1.5", "\"a\"", "\"\"", "null", "\"\\u0000\"", "18446744073709551615"})
        CHECK(request(std::string(R"({"method":"x","id":)") + id + "}").id == id);
    for (const char* id : {"true", "[]", "{}"})
        CHECK(problem(std::string(R"({"method":"x","id":)") + id + "}") ==
              "invalid_request null: id: expected a string, a number or null");
}

TEST_CASE("what is no request is invalid, and answered under its id where that can be read") {
    CHECK(problem("[]") == "invalid_request null: batches are not supported: send one request a line");
    CHECK(problem(R"([{"method":"x","id":1}])").starts_with("invalid_request null: batches"));
    for (const char* bad : {"1", "\"x\"", "null", "true"})
        CHECK(problem(bad) == "invalid_request null: expected a JSON object");
    CHECK(problem(R"({"id":3})") == "invalid_request 3: method: is missing");
    CHECK(problem("{}") == "invalid_request null: method: is missing");
    CHECK(problem(R"({"id":"a","method":7})") == "invalid_request \"a\": method: expected a string");
    CHECK(problem(R"({"id":3,"method":"x","jsonrpc":"1.0"})") ==
          "invalid_request 3: jsonrpc: expected \"2.0\"");
    CHECK(problem(R"({"id":3,"method":"x","jsonrpc":2.0})") ==
          "invalid_request 3: jsonrpc: expected \"2.0\"");
    CHECK(problem(R"({"id":3,"method":"x","param":{}})").starts_with("invalid_request 3: unknown member"));
    CHECK(problem(R"({"method":"x","param":{}})").starts_with("invalid_request -: "));  // a notification
}

TEST_CASE("what is not JSON is a parse error") {
    for (const char* bad :
         {"", "{", "}", "{]", "nope", R"({"method":"x",})", R"({'method':'x'})", R"({"method":"x"} x)",
          R"({"method":"x"}{"method":"x"})", R"({"method":"\x"})", "// hi", R"({"method":"x","id":01})",
          R"({"method":"x","id":NaN})", "\xef\xbb\xbf"})
        CHECK(kind(bad) == "parse_error");
    CHECK(problem("{").find("json.exception") == std::string::npos);
}

TEST_CASE("NUL, invalid UTF-8 and numbers that no double holds are parse errors") {
    CHECK(kind(std::string("{\"method\":\"x\0\"}", 15)) == "parse_error");
    CHECK(kind(std::string("{\"method\":\"x\"}\0", 15)) == "parse_error");
    CHECK(kind(std::string("{\"method\":\"x\"}\0{}", 17)) == "parse_error");
    for (const char* bad : {"{\"method\":\"\xff\"}", "{\"method\":\"\xc3\"}", "{\"method\":\"\xed\xa0\x80\"}",
                            "{\"method\":\"\xc0\x80\"}", R"({"method":"\ud800"})"})
        CHECK(kind(bad) == "parse_error");
    for (const char* bad : {R"({"method":"x","params":{"timeout":1e999}})", R"({"method":"x","id":1e999})",
                            R"({"method":"x","id":-1e999})"})
        CHECK(kind(bad) == "parse_error");
    CHECK(request(R"({"method":"a\u0000b"})").method == std::string("a\0b", 3));
}

TEST_CASE("64 levels of nesting are taken, 65 are not, 200,000 cost nothing") {
    CHECK(kind(nested(64)) == "none");
    CHECK(problem(nested(65)) == "invalid_request null: nested deeper than 64");
    CHECK(kind(nested(200'000)) == "invalid_request");
    CHECK(kind(std::string(200'000, '[')) == "invalid_request");
    std::string objects = R"({"method":"x","params":)";
    for (int i = 0; i < 200'000; ++i) objects += "{\"a\":";
    CHECK(kind(objects) == "invalid_request");
    // Brackets in strings are none, nor is what stands beside each other.
    CHECK(kind(R"({"method":"x","params":{"name":")" + std::string(1000, '[') + "\\\"{" + R"("}})") ==
          "none");
    std::string wide = R"({"method":"x","params":[0)";
    for (int i = 0; i < 1000; ++i) wide += ",[],{}";
    CHECK(kind(wide + "]}") == "none");
}

TEST_CASE("the depth is counted over closing brackets that were never opened") {
    CHECK(kind(std::string(1000, ']') + std::string(64, '[')) == "parse_error");
}

TEST_CASE("answers and notifications are one line each") {
    CHECK(result_line("7", {{"a", 1}}) == "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"a\":1}}\n");
    CHECK(result_line("\"x\"", OrderedJson::object()) ==
          "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{}}\n");
    CHECK(error_line("null", {ErrorKind::limit, "no\nmore", OrderedJson::object()}) ==
          "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":1,\"message\":\"no\\nmore\",\"data\":{"
          "\"kind\":\"limit\"}}}\n");
    CHECK(notification_line("event", {{"seq", 1}}) ==
          "{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":1}}\n");
}
