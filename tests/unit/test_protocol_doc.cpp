#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include <doctest/doctest.h>

#include "proto/describe.hpp"

namespace {

const std::string k_file = PROCD_SOURCE_DIR "/docs/protocol.md";
const std::string k_begin = "<!-- tables -->\n";
const std::string k_end = "<!-- end of tables -->\n";

std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("docs/protocol.md has the tables that the messages give") {
    const std::string text = read(k_file);
    const std::size_t mark = text.find(k_begin), end = text.find(k_end);
    REQUIRE_MESSAGE((mark != std::string::npos && end != std::string::npos && mark < end),
                    k_file << " has no place for them");
    const std::size_t begin = mark + k_begin.size();
    const std::string tables = procd::proto::protocol_tables();
    if (std::getenv("PROCD_WRITE_PROTOCOL_DOC")) {
        std::ofstream(k_file, std::ios::binary) << text.substr(0, begin) << tables << text.substr(end);
        MESSAGE("wrote the tables of " << k_file);
        return;
    }
    const bool same = text.substr(begin, end - begin) == tables;
    CHECK_MESSAGE(
        same,
        "they are out of date; PROCD_WRITE_PROTOCOL_DOC=1 build/release/tests/unit_tests writes them anew");
}
