#include <array>
#include <cstdio>
#include <memory>

#include <doctest/doctest.h>

#include "base/log_index.hpp"

using namespace procd;

TEST_CASE("an index of a log is one line of a fixed width") {
    const LogIndex index{2, 4096, 8192, 1, 3, 1};
    const std::string text = to_text(index);
    CHECK(text.size() == k_log_index_bytes);
    CHECK(text ==
          "00000000000000000002 00000000000000004096 00000000000000008192 00000000000000000001 "
          "00000000000000000003 00000000000000000001 00000000000000000002\n");
    CHECK(parse_log_index(text) == index);
    const LogIndex largest{~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL};
    CHECK(parse_log_index(to_text(largest)) == largest);
}

TEST_CASE("a torn index, or garbage, is none") {
    const std::string text = to_text({2, 0, 8, 0});
    const std::string later = to_text({4, 0, 16, 8});
    for (std::size_t torn_at = 20; torn_at < text.size() - 2; ++torn_at)
        CHECK_FALSE(parse_log_index(later.substr(0, torn_at) + text.substr(torn_at)).has_value());
    CHECK_FALSE(parse_log_index("").has_value());
    CHECK_FALSE(parse_log_index(text + "x").has_value());
    CHECK_FALSE(parse_log_index(std::string(text.size(), 'x')).has_value());
    CHECK_FALSE(parse_log_index(text.substr(0, text.size() - 1) + " ").has_value());
    CHECK_FALSE(parse_log_index("-" + text.substr(1)).has_value());
    CHECK_FALSE(parse_log_index(to_text({2, 9, 8, 0})).has_value());
    CHECK_FALSE(parse_log_index(to_text({2, 0, 8, 9})).has_value());
    CHECK_FALSE(parse_log_index(to_text({2, 8, 8, 8, 1, 9})).has_value());
}

TEST_CASE("an index is replaced in place") {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::tmpfile(), &std::fclose);
    const int fd = ::fileno(file.get());
    auto read = read_log_index(fd);
    REQUIRE(read);
    CHECK(*read == LogIndex{});
    REQUIRE(write_log_index(fd, {3, 0, 0, 0}));
    REQUIRE(write_log_index(fd, {4, 4096, 4096, 0}));
    read = read_log_index(fd);
    REQUIRE(read);
    CHECK(*read == LogIndex{4, 4096, 4096, 0});
    CHECK(write_log_index(-1, {}).error().error == EBADF);
    CHECK_FALSE(read_log_index(-1));
}
