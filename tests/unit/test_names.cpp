#include <string>

#include <doctest/doctest.h>

#include "daemon/core/names.hpp"

using namespace procd::core;

TEST_CASE("a name is any UTF-8 text of up to 255 bytes") {
    for (const char* good :
         {"foo_process", "测试Python", "a b", "Process-1:1", "5 apples", "-x", "1.0", "😀", "日本", "é"})
        CHECK_FALSE(name_problem(good));
    CHECK_FALSE(name_problem(std::string(255, 'x')));
    CHECK(name_problem(std::string(256, 'x')) == "a name has at most 255 bytes");
    CHECK_FALSE(name_problem(""));  // counts as absent
}

TEST_CASE("a name has no control characters") {
    for (const char* bad : {"a\nb", "\t", "\x1b[31m", "a\x7f", "\u0080", "x\u009f", "\u0085"})
        CHECK(name_problem(bad) == "a name has no control characters");
    CHECK(name_problem(std::string("a\0b", 3)));
    CHECK_FALSE(name_problem("\u00a0"));
}

TEST_CASE("a name of digits alone would be an id") {
    for (const char* bad : {"0", "7", "007", "12345678901234567890"}) CHECK(name_problem(bad));
    for (const char* good : {"7a", "-7", "٣", "1:1"}) CHECK_FALSE(name_problem(good));
}

TEST_CASE("a glob matches as in a shell") {
    struct Example {
        const char* pattern;
        const char* text;
        bool matches;
    };
    for (const Example& example : {
             Example{"", "", true},      {"", "a", false},
             {"a", "", false},           {"*", "", true},
             {"*", "anything", true},    {"**", "x", true},
             {"a*", "abc", true},        {"a*", "ba", false},
             {"*c", "abc", true},        {"*b*", "abc", true},
             {"a*b*c", "a1b2b3c", true}, {"a*b*c", "acb", false},
             {"?", "a", true},           {"?", "", false},
             {"?", "ab", false},         {"a?c", "abc", true},
             {"*?", "", false},          {"*?", "x", true},
             {"[abc]", "b", true},       {"[abc]", "d", false},
             {"[a-c]x", "bx", true},     {"[a-c]", "d", false},
             {"[!a-c]", "d", true},      {"[!a-c]", "a", false},
             {"[^a]", "b", true},        {"[]a]", "]", true},
             {"[!]a]", "]", false},      {"[a-]", "-", true},
             {"[-a]", "-", true},        {"[a", "[a", true},
             {"[", "[", true},           {"[!", "[!", true},
             {"a]", "a]", true},         {"\\*", "*", true},
             {"\\*", "a", false},        {"\\", "\\", true},
             {"a\\?b", "a?b", true},     {"a\\?b", "axb", false},
             {"*.[ch]", "x.c", true},    {"Process-*", "Process-1:1", true},
             {"测*", "测试", true},
         }) {
        CAPTURE(example.pattern);
        CAPTURE(example.text);
        CHECK(glob_matches(example.pattern, example.text) == example.matches);
    }
}

TEST_CASE("no glob takes for ever") {
    std::string pattern;
    for (int i = 0; i < 60; ++i) pattern += "*a";
    CHECK_FALSE(glob_matches(pattern + "b", std::string(255, 'a')));
}
