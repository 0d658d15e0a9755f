#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "client/procctl/completion.hpp"
#include "client/procctl/verbs.hpp"

using namespace procctl;
using Also = Completion::Also;
using Words = std::vector<std::string>;

namespace {

std::set<std::string> texts(const Words& words) {
    std::set<std::string> found;
    for (const auto& candidate : complete(words).candidates) found.insert(candidate.text);
    return found;
}

}  // namespace

TEST_CASE("the first word is a verb") {
    CHECK(texts({""}).size() == k_verbs.size());
    CHECK(texts({"st"}) == std::set<std::string>{"start", "status"});
    CHECK(texts({"nothing"}).empty());
    CHECK(texts({"-s", "/run/x", "spa"}) == std::set<std::string>{"spawn"});
    CHECK(texts({"--so"}) == std::set<std::string>{"--socket"});
    CHECK(complete({"-s", ""}).also == Also::files);
}

TEST_CASE("every verb's options are offered, with what they are for") {
    const auto completion = complete({"spawn", "--"});
    CHECK(texts({"spawn", "--na"}) == std::set<std::string>{"--name"});
    CHECK(texts({"spawn", "--daemon", "--no"}) == std::set<std::string>{"--no-daemon"});
    for (const auto& candidate : completion.candidates) CHECK_FALSE(candidate.help.empty());
    for (const VerbEntry& entry : k_verbs) CHECK(texts({entry.name, "--"}).contains("--json"));
}

TEST_CASE("values of options") {
    CHECK(texts({"spawn", "--kill-mode", ""}) == std::set<std::string>{"group", "main"});
    CHECK(texts({"spawn", "--kill-mode", "m"}) == std::set<std::string>{"main"});
    CHECK(texts({"spawn", "--kill-mode=m"}) == std::set<std::string>{"--kill-mode=main"});
    CHECK(texts({"spawn", "--stderr", ""}).contains("stdout"));
    CHECK(complete({"spawn", "--stdin", ""}).also == Also::files);
    CHECK(texts({"spawn", "--owner", "c"}) == std::set<std::string>{"caller", "connection"});
    CHECK(texts({"spawn", "--name", "--"}).empty());  // that is its value
}

TEST_CASE("words beside the options") {
    CHECK(complete({"spawn", ""}).also == Also::commands);
    CHECK(complete({"spawn", "--name", "x", "--", "l"}).also == Also::commands);
    CHECK(complete({"spawn", "ls", "--na"}).also == Also::files);  // the command's from there on
    CHECK(texts({"spawn", "ls", "--na"}).empty());
    CHECK(complete({"terminate", ""}).also == Also::processes);
    CHECK(complete({"stop", "a", "b", ""}).also == Also::processes);
    CHECK(complete({"pid", "a", ""}).also == Also::nothing);
    CHECK(complete({"name", "a", "n"}).also == Also::nothing);
    CHECK(texts({"signal", "a", "HU"}) == std::set<std::string>{"HUP"});
    CHECK(texts({"signal", "HU"}).empty());
    CHECK(complete({"info", ""}).also == Also::nothing);
    CHECK(texts({"completion", ""}) == std::set<std::string>{"bash", "zsh", "fish"});
    CHECK(texts({"no-such-verb", "--"}).empty());
    CHECK(complete({}).candidates.size() == k_verbs.size());
}
