#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "proto/framing.hpp"

using namespace procd::proto;

namespace {

using Lines = std::vector<LineReader::Line>;

bool same(const Lines& left, const Lines& right) {
    if (left.size() != right.size()) return false;
    for (std::size_t i = 0; i < left.size(); ++i) {
        if (left[i].text != right[i].text || left[i].too_long != right[i].too_long) return false;
        if (left[i].begin != right[i].begin || (!left[i].too_long && left[i].end != right[i].end))
            return false;
    }
    return true;
}

// Feeds the pieces, taking all lines after each.
Lines read(LineReader& reader, const std::vector<std::string>& pieces) {
    Lines lines;
    for (const std::string& piece : pieces) {
        reader.feed(piece);
        while (auto line = reader.next()) lines.push_back(*line);
    }
    return lines;
}

Lines read(const std::vector<std::string>& pieces, std::size_t most = 100) {
    LineReader reader(most);
    return read(reader, pieces);
}

std::vector<std::string> texts(const Lines& lines) {
    std::vector<std::string> all;
    for (const auto& line : lines) all.push_back(line.too_long ? "TOO LONG" : line.text);
    return all;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("a line is what stands before a newline; CR before it and blank lines are tolerated") {
    CHECK(texts(read({"a\nb\r\n\n \t\n\r\nc\n"})) == Texts{"a", "b", "c"});
    CHECK(texts(read({"a\rb\n"})) == Texts{"a\rb"});
    CHECK(texts(read({" a \n"})) == Texts{" a "});
    CHECK(texts(read({"a"})) == Texts{});
    CHECK(texts(read({std::string("a\0b\n", 4)})) == Texts{std::string("a\0b", 3)});
}

TEST_CASE("a stream gives the same lines however it is split") {
    const std::string stream =
        "{\"a\":1}\r\n\n{\"b\":2}\n" + std::string(30, 'x') + "\n  \nlast\n" + std::string(25, 'y') + "\nz\n";
    const Lines whole = read({stream}, 20);
    CHECK(texts(whole) == Texts{"{\"a\":1}", "{\"b\":2}", "TOO LONG", "last", "TOO LONG", "z"});
    for (std::size_t i = 0; i <= stream.size(); ++i)
        for (std::size_t k = i; k <= stream.size(); ++k)
            CHECK(same(read({stream.substr(0, i), stream.substr(i, k - i), stream.substr(k)}, 20), whole));
    std::vector<std::string> bytes;
    for (const char c : stream) bytes.emplace_back(1, c);
    CHECK(same(read(bytes, 20), whole));
}

TEST_CASE("each line knows where it stood in the stream") {
    const Lines lines = read({"ab\n\ncd\r\n", "e", "f\n"});
    REQUIRE(lines.size() == 3);
    CHECK(lines[0].begin == 0);
    CHECK(lines[0].end == 3);
    CHECK(lines[1].begin == 4);
    CHECK(lines[1].end == 8);
    CHECK(lines[2].begin == 8);
    CHECK(lines[2].end == 11);
}

TEST_CASE("a line of exactly the limit is taken, one byte more is too long") {
    CHECK(texts(read({std::string(100, 'x') + "\n"})) == Texts{std::string(100, 'x')});
    CHECK(texts(read({std::string(101, 'x') + "\n"})) == Texts{"TOO LONG"});
}

TEST_CASE("a line that is too long is told as soon as it is, drained, and the next ones are read") {
    LineReader reader(100);
    CHECK(texts(read(reader, {std::string(101, 'x')})) == Texts{"TOO LONG"});
    CHECK(reader.pending() == 0);
    for (int i = 0; i < 50; ++i) CHECK(read(reader, {std::string(1000, 'y')}).empty());
    CHECK(reader.pending() == 0);  // nothing of it is held
    const Lines lines = read(reader, {"tail\nnext\n"});
    REQUIRE(texts(lines) == Texts{"next"});
    CHECK(lines[0].begin == 101 + 50 * 1000 + 5);
    CHECK(reader.fed() == lines[0].end);
}

TEST_CASE("at the end of the stream a line without its newline is a line, a drained one is not") {
    LineReader reader(100);
    CHECK(read(reader, {"a\nb"}).size() == 1);
    reader.finish();
    CHECK(reader.next()->text == "b");
    reader.finish();
    CHECK_FALSE(reader.next());

    LineReader draining(10);
    CHECK(read(draining, {std::string(20, 'x')}).size() == 1);
    draining.finish();
    CHECK_FALSE(draining.next());
}

TEST_CASE("has_line says whether next would give one") {
    LineReader reader(10);
    const auto says = [&](bool expected) { CHECK(reader.has_line() == expected); };
    says(false);
    reader.feed("ab");
    says(false);
    reader.feed("c\nd");
    says(true);
    CHECK(reader.next()->text == "abc");
    says(false);
    CHECK_FALSE(reader.next());
    reader.feed("efghijklmn");
    says(true);  // too long already
    CHECK(reader.next()->too_long);
    says(false);
}

TEST_CASE("many lines at once are cut in linear time") {
    std::string stream;
    for (int i = 0; i < 100'000; ++i) stream += "{}\n";
    CHECK(read({stream}).size() == 100'000);
}
