#include <string>

#include <doctest/doctest.h>

#include "proto/base64.hpp"

using namespace procd::proto;

TEST_CASE("base64 is that of RFC 4648") {
    const std::pair<const char*, const char*> examples[] = {{"", ""},
                                                            {"f", "Zg=="},
                                                            {"fo", "Zm8="},
                                                            {"foo", "Zm9v"},
                                                            {"foob", "Zm9vYg=="},
                                                            {"fooba", "Zm9vYmE="},
                                                            {"foobar", "Zm9vYmFy"},
                                                            {"\xff\xfe\xfd", "//79"},
                                                            {"\xfb", "+w=="}};
    for (const auto& [bytes, text] : examples) {
        CHECK(base64_encode(bytes) == text);
        CHECK(base64_decode(text) == bytes);
    }
}

TEST_CASE("every byte survives the way there and back") {
    std::string bytes;
    for (int i = 0; i < 256; ++i) {
        CHECK(base64_decode(base64_encode(bytes)) == bytes);
        bytes += static_cast<char>(i * 7);
    }
    const std::string zeros(5, '\0');
    CHECK(base64_decode(base64_encode(zeros)) == zeros);
}

TEST_CASE("what is not exactly base64 is refused") {
    for (const char* bad : {"Z", "Zg", "Zg=", "Zg===", "=", "==", "====", "Z===", "Zm9v\n", "Zm 9", "Zm-v",
                            "Zm_v", "Zg==Zg==", "Z=g=", "=Zg=", "Zh==", "Zm9=", "é==="})
        CHECK_FALSE(base64_decode(bad));
}
