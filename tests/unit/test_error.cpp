#include <map>
#include <string>

#include <doctest/doctest.h>

#include "proto/error.hpp"

using namespace procd::proto;

TEST_CASE("every kind of error has a word, and the code that JSON-RPC has for it") {
    const std::map<std::string, int> expected{{"parse_error", -32700}, {"invalid_request", -32600},
                                              {"too_large", -32600},   {"no_such_method", -32601},
                                              {"bad_request", -32602}, {"no_such_process", 1},
                                              {"ambiguous", 1},        {"name_in_use", 1},
                                              {"already_started", 1},  {"not_started", 1},
                                              {"still_running", 1},    {"daemonic_no_children", 1},
                                              {"owner_gone", 1},       {"exec_failed", 1},
                                              {"not_permitted", 1},    {"deadlock", 1},
                                              {"no_log", 1},           {"limit", 1},
                                              {"shutting_down", 1}};
    for (const auto& [word, code] : expected) {
        ErrorKind kind{};
        REQUIRE(from_text(word, kind));
        CHECK(to_text(kind) == word);
        CHECK(code_of(kind) == code);
    }
    CHECK(expected.size() == static_cast<std::size_t>(ErrorKind::shutting_down) + 1);
    ErrorKind kind{};
    CHECK_FALSE(from_text("no_such_word", kind));
}

TEST_CASE("an error on the wire is its code, its message, and its kind with the details beside it") {
    WireError error{ErrorKind::exec_failed, "cannot start x", {{"stage", "exec"}, {"errno", 2}}};
    CHECK(dump(to_json(error)) ==
          R"({"code":1,"message":"cannot start x","data":{"kind":"exec_failed","stage":"exec","errno":2}})");
    CHECK(dump(to_json(WireError{ErrorKind::limit, "\xff", OrderedJson::object()})) ==
          "{\"code\":1,\"message\":\"\xef\xbf\xbd\",\"data\":{\"kind\":\"limit\"}}");
}
