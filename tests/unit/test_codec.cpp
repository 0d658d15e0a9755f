#include <doctest/doctest.h>

#include "proto/messages.hpp"
#include "proto/text.hpp"
#include "tests/unit/wire.hpp"

using namespace procd::proto;

namespace {

struct Inner {
    std::int64_t number = 0;
    std::optional<bool> flag;
    static void fields(auto& self, auto&& field) {
        field("number", self.number, "a number");
        field("flag", self.flag, "a flag");
    }
};

struct Outer {
    std::string text;
    std::optional<Inner> inner;
    std::optional<std::vector<Inner>> list;
    std::optional<WaitMode> mode;
    static void fields(auto& self, auto&& field) {
        field("text", self.text, "a text");
        field("inner", self.inner, "another");
        field("list", self.list, "several");
        field("mode", self.mode, "a word");
    }
};

struct WithNulls {
    static constexpr bool k_nulls = true;
    std::optional<std::int64_t> a;
    std::optional<std::string> b;
    static void fields(auto& self, auto&& field) {
        field("a", self.a, "");
        field("b", self.b, "");
    }
};

}  // namespace

TEST_CASE("a message is written in the order of its fields, without those that are absent") {
    CHECK(decoded<Outer>(
              R"({"mode":"any","inner":{"flag":false,"number":7},"text":"t","list":[{"number":1}]})") ==
          R"({"text":"t","inner":{"number":7,"flag":false},"list":[{"number":1}],"mode":"any"})");
    CHECK(decoded<Outer>(R"({"text":""})") == R"({"text":""})");
    CHECK(dump(encode(WithNulls{})) == R"({"a":null,"b":null})");
}

TEST_CASE("a message's text is the same without the tree of values") {
    for (const char* text : {"", "plain", "\"\\", "\x1f\x7f\n", "\u00e9\u2028", "\xff", "a\xc3"}) {
        const Outer message{text, Inner{-7, true}, std::vector<Inner>(2), WaitMode::any};
        CHECK(text_of(message) == dump(encode(message)));
    }
    CHECK(text_of(Outer{}) == dump(encode(Outer{})));
    CHECK(text_of(WithNulls{}) == dump(encode(WithNulls{})));
    CHECK(text_of(WithNulls{std::numeric_limits<std::int64_t>::min(), "b"}) ==
          R"({"a":-9223372036854775808,"b":"b"})");
}

TEST_CASE("null is absent for every optional member, and missing for every other") {
    CHECK(decoded<Outer>(R"({"text":"t","inner":null,"list":null,"mode":null})") == R"({"text":"t"})");
    CHECK(decoded<Outer>(R"({"text":null})") == "ERROR params.text: is missing");
    CHECK(decoded<Outer>("{}") == "ERROR params.text: is missing");
}

TEST_CASE("an error names the path of what is wrong") {
    CHECK(decoded<Outer>("[]") == "ERROR params: expected an object");
    CHECK(decoded<Outer>(R"({"text":7})") == "ERROR params.text: expected a string");
    CHECK(decoded<Outer>(R"({"text":"","inner":[]})") == "ERROR params.inner: expected an object");
    CHECK(decoded<Outer>(R"({"text":"","inner":{}})") == "ERROR params.inner.number: is missing");
    CHECK(decoded<Outer>(R"({"text":"","inner":{"number":1,"flag":1}})") ==
          "ERROR params.inner.flag: expected true or false");
    CHECK(decoded<Outer>(R"({"text":"","list":{}})") == "ERROR params.list: expected an array");
    CHECK(decoded<Outer>(R"({"text":"","list":[{"number":1},{"number":"2"}]})") ==
          "ERROR params.list[1].number: expected an integer");
}

TEST_CASE("an unknown member is refused at every depth, and ignored by who may not know it yet") {
    CHECK(decoded<Outer>(R"({"text":"","extra":1})") == "ERROR params.extra: unknown parameter");
    CHECK(decoded<Outer>(R"({"text":"","inner":{"number":1,"nummer":2}})") ==
          "ERROR params.inner.nummer: unknown parameter");
    const std::string longest = R"({"text":"",")" + std::string(5000, 'k') + R"(":1})";
    CHECK(decoded<Outer>(longest) == "ERROR params." + std::string(100, 'k') + ": unknown parameter");
    Outer lenient;
    decode(Json::parse(R"({"text":"x","extra":1,"inner":{"number":1,"nummer":2}})"), lenient, Path{},
           Unknown::ignore);
    CHECK(lenient.text == "x");
}

TEST_CASE("a word that an enum does not have is an error, never its first one") {
    CHECK(decoded<WaitMode>(R"("any")") == R"("any")");
    for (const char* bad : {R"("some")", R"("")", R"("ANY")", "0", "null", "[]"})
        CHECK(decoded<WaitMode>(bad) == R"(ERROR params: expected one of "all", "any")");
    CHECK(decoded<EventType>(R"("x")") ==
          R"(ERROR params: expected one of "created", "started", "stopping", "exited", "changed", "closed")");
}

TEST_CASE("integers are integers within their range") {
    CHECK(decoded<std::int64_t>("9223372036854775807") == "9223372036854775807");
    CHECK(decoded<std::int64_t>("-9223372036854775808") == "-9223372036854775808");
    CHECK(decoded<std::int64_t>("9223372036854775808").starts_with("ERROR params: out of range"));
    CHECK(decoded<std::int64_t>("18446744073709551615").starts_with("ERROR params: out of range"));
    CHECK(decoded<std::uint8_t>("255") == "255");
    CHECK(decoded<std::uint8_t>("256") == "ERROR params: out of range (0 to 255)");
    CHECK(decoded<std::uint8_t>("-1") == "ERROR params: out of range (0 to 255)");
    for (const char* bad : {"1.0", "1e2", "\"1\"", "true", "null", "[1]"})
        CHECK(decoded<std::int64_t>(bad) == "ERROR params: expected an integer");
}

TEST_CASE("numbers, booleans and texts are not taken for each other") {
    CHECK(decoded<double>("1") == "1.0");
    CHECK(decoded<double>("0.5") == "0.5");
    CHECK(decoded<double>("true") == "ERROR params: expected a number");
    CHECK(decoded<bool>("true") == "true");
    for (const char* bad : {"1", "0", "\"true\"", "null"})
        CHECK(decoded<bool>(bad) == "ERROR params: expected true or false");
    CHECK(decoded<std::string>("\"x\"") == "\"x\"");
    CHECK(decoded<std::string>("1") == "ERROR params: expected a string");
}

TEST_CASE("a path is spelled with dots and brackets") {
    const Path params{nullptr, "params", std::nullopt};
    const Path list{&params, "list", std::nullopt};
    const Path second{&list, {}, 1};
    CHECK(Path{&second, "fd", std::nullopt}.text() == "params.list[1].fd");
    CHECK(Path{}.text().empty());
}
