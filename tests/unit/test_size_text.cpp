#include <cstdint>

#include <doctest/doctest.h>

#include "base/size_text.hpp"

using procd::parse_size;

TEST_CASE("a size is a number of bytes, with a letter for 1024s") {
    CHECK(parse_size("0") == 0);
    CHECK(parse_size("4096") == 4096);
    CHECK(parse_size("1k") == 1024);
    CHECK(parse_size("64K") == 65536);
    CHECK(parse_size("16M") == 16777216);
    CHECK(parse_size("2g") == std::uint64_t{2147483648});
    CHECK(parse_size("9223372036854775807") == INT64_MAX);
    CHECK(parse_size("8589934591G") == std::uint64_t{8589934591} << 30);
}

TEST_CASE("what is no size, or does not fit, is refused") {
    for (const char* text : {"", "K", "-1", "+1", " 1", "1 ", "1 K", "1KB", "1T", "1.5M", "0x10", "16M ",
                             "MM", "9223372036854775808", "8589934592G", "99999999999999999999999"})
        CHECK_FALSE_MESSAGE(parse_size(text).has_value(), text);
}
