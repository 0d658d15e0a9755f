#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "daemon/state/journal_text.hpp"
#include "daemon/state/records.hpp"
#include "tests/unit/bench.hpp"

// What procd writes down, and what is made of it in whatever state it is found.
using namespace procd;
using namespace procd::core;
using namespace procd::state;

namespace {

Process process_named(const std::string& name, ProcessId id) {
    Process process;
    process.id = id;
    process.name = name;
    process.identity = std::to_string(id);
    process.owner = {OwnerKind::pid, 4};
    process.owner_facts = {4100, "bash", 777};
    process.life = Life(LifeRecord{.phase = Phase::ending,
                                   .main_alive = true,
                                   .end_wanted = true,
                                   .grace = std::chrono::milliseconds(1500),
                                   .deadline = Mono(std::chrono::seconds(9))});
    process.command = {"/bin/sh", "-c", "exit 7", std::string("\xff\xfe", 2)};
    process.cwd = "/tmp/\xe9";
    process.pid = 4242;
    process.start_time = 123456;
    process.log = "/log/a b";
    process.log_spec = {LogVia::pipe, 4096, 3, true};
    process.output = "stdout goes to its log";
    process.created = Wall(std::chrono::microseconds(1'700'000'000'123'456));
    process.started = process.created;
    process.end_cause = Cause::owner;
    process.signals_sent = {2, 15};
    process.streams_of = {std::nullopt, 7, 7};
    return process;
}

Process reread(const Process& process) {
    const std::string text = text_of(process);
    auto read = process_from(text);
    REQUIRE_MESSAGE(std::holds_alternative<Process>(read), std::get<Unreadable>(read).why);
    CHECK(text_of(std::get<Process>(read)) == text);
    return std::get<Process>(std::move(read));
}

std::string whole_journal() {
    std::string text = header_line({1, 1, "boot", "/sys/fs/cgroup/x", 0, 0}) + numbers_line(1, 3);
    for (ProcessId id = 1; id <= 3; ++id)
        text += line(key_of(id), text_of(process_named("p" + std::to_string(id), id)));
    return text;
}

}  // namespace

TEST_CASE("a process comes back with all that was known of it") {
    const Process before = process_named("it/ é", 5);
    const Process after = reread(before);
    CHECK(after.name == before.name);
    CHECK(after.owner == before.owner);
    CHECK(after.owner_facts.start_time == 777);
    CHECK(after.life.record() == before.life.record());
    CHECK(after.command == before.command);
    CHECK(after.cwd == before.cwd);
    CHECK(after.log == before.log);
    CHECK(after.log_spec.via == LogVia::pipe);
    CHECK(after.log_spec.keep == 3U);
    CHECK(after.created == before.created);
    CHECK(after.signals_sent == before.signals_sent);
    CHECK(after.streams_of == before.streams_of);
}

TEST_CASE("one that has ended comes back with how, in each way there is") {
    for (const How how : {How::exited, How::signaled, How::exec_failed, How::lost}) {
        Process before = process_named("it", 5);
        before.life = Life(LifeRecord{.phase = Phase::exited});
        before.ending = Ending{Exit{how, how == How::exited ? 7 : 0, how == How::signaled ? 9 : 0, true},
                               Cause::client, 2};
        const Process after = reread(before);
        CHECK(after.exitcode() == before.exitcode());
        CHECK(after.ending->exit.core);
        CHECK(after.ending->leftovers == 2);
    }
}

TEST_CASE("one that is to be started yet comes back with what it is to be started with") {
    Process before = process_named("later", 5);
    before.life = Life(std::chrono::seconds(10));
    before.pid = 0;
    auto spec = std::make_shared<LaunchSpec>();
    spec->command = before.command;
    spec->cwd = before.cwd;
    spec->env = std::vector<std::string>{"A=1", "B=\xff", "A=2"};
    spec->umask = 077;
    spec->limits = {{"nofile", 1024, ~std::uint64_t{0}, true}};
    spec->stdio = {ToNull{}, ToFile{"out", true}, ToStdout{}};
    spec->identity = {1000, 100, {100, 27}, true};
    before.spec = spec;
    const Process after = reread(before);
    REQUIRE(after.spec);
    CHECK(after.spec->env == spec->env);
    CHECK(after.spec->umask == 077);
    CHECK(after.spec->limits.front().hard == ~std::uint64_t{0});
    CHECK(std::get<ToFile>(after.spec->stdio[1]).append);
    CHECK(std::holds_alternative<ToStdout>(after.spec->stdio[2]));
    CHECK(after.spec->identity.groups == std::vector<std::uint32_t>{100, 27});
    CHECK_FALSE(after.spec->lost_descriptors);
    spec->terminal = std::make_shared<Resource>();
    CHECK(reread(before).spec->lost_descriptors);
}

TEST_CASE("what contradicts itself is no record") {
    for (
        const char* text : {
            R"({})",
            R"([1])",
            R"(not JSON)",
            R"({"id":0,"uid":0,"name":"x","identity":"1","owner":{"kind":"procd"},"life":{"phase":"running","main_alive":true,"grace":1},"command":["x"],"cwd":"/","streams_of":[],"output":"","created":1,"signals_sent":[]})",
            R"({"id":1,"uid":0,"name":"x","identity":"1","owner":{"kind":"procd"},"life":{"phase":"exited","grace":1},"command":["x"],"cwd":"/","streams_of":[],"output":"","created":1,"signals_sent":[]})",
            R"({"id":1,"uid":0,"name":"x","identity":"1","owner":{"kind":"procd"},"life":{"phase":"initial","grace":1},"command":["x"],"cwd":"/","streams_of":[],"output":"","created":1,"signals_sent":[]})",
            R"({"id":1,"uid":0,"name":"x","identity":"1","owner":{"kind":"nobody"},"life":{"phase":"exited","grace":1},"command":["x"],"cwd":"/","streams_of":[],"output":"","created":1,"signals_sent":[]})",
        })
        CHECK_MESSAGE(std::holds_alternative<Unreadable>(process_from(text)), text);
}

TEST_CASE("the newest line of each counts, and the forgotten are gone with their ids used up") {
    std::string text = whole_journal();
    text += line(key_of(2), text_of(process_named("renamed", 2)));
    text += forgotten(key_of(3)) + forgotten(key_of(9));
    for (const std::string& form : {text, compacted(text), compacted(compacted(text))}) {
        const Journal journal = read_journal(form);
        CHECK(journal.broken == 0);
        REQUIRE(journal.saved.processes.size() == 2);
        CHECK(journal.saved.processes[1].name == "renamed");
        CHECK(journal.saved.next_id == 10);
        CHECK(journal.saved.next_session == 3);
        CHECK(journal.header->group == "/sys/fs/cgroup/x");
    }
    CHECK(compacted(text).size() < text.size());
}

TEST_CASE("cut off at any byte, a journal has lost no more than the line that was being written") {
    const std::string text = whole_journal();
    std::size_t lines = 0;
    for (std::size_t cut = 0; cut < text.size(); ++cut) {
        if (cut > 0 && text[cut - 1] == '\n') ++lines;
        const Journal journal = read_journal(std::string_view(text).substr(0, cut));
        CHECK(journal.saved.processes.size() == (lines < 2 ? 0 : lines - 2));
        CHECK(journal.header.has_value() == (lines > 0));
        CHECK(journal.torn == (cut > 0 && text[cut - 1] != '\n'));
    }
}

TEST_CASE("one byte that is wrong costs the line it is in, and no other") {
    const std::string text = whole_journal();
    for (std::size_t at = 0; at < text.size(); ++at) {
        std::string spoiled = text;
        spoiled[at] = static_cast<char>(spoiled[at] ^ 0x41);
        const Journal journal = read_journal(spoiled);
        CHECK(journal.broken >= 1);
        // A newline that is gone spoils the line behind it too.
        CHECK(journal.saved.processes.size() >= (text[at] == '\n' ? 1 : 2));
    }
}

TEST_CASE("garbage between the lines, before and behind them is left out") {
    const std::string garbage =
        std::string("\0\n\n0123456789abcdef p1 {}\n", 26) + "{}\n" + std::string(5000, 'x') + "\n";
    const Journal journal = read_journal(garbage + whole_journal() + garbage);
    CHECK(journal.saved.processes.size() == 3);
    CHECK(journal.broken > 0);
    CHECK_FALSE(journal.torn);
    CHECK(read_journal("").saved.processes.empty());
}

TEST_CASE("of a newer version nothing is read, and ids that were not written down are not given out again") {
    Header header{99, 98, "boot", "", 0, 0};
    Journal journal = read_journal(header_line(header) + whole_journal().substr(header_line(header).size()));
    CHECK_FALSE(is_readable(*journal.header));
    CHECK(journal.saved.processes.empty());
    header = {2, 1, "boot", "", 500, 40};  // newer, and this one can read it
    journal = read_journal(header_line(header) + numbers_line(7, 3));
    CHECK(is_readable(*journal.header));
    CHECK(journal.saved.next_id == 501);
    CHECK(journal.saved.next_session == 41);
    CHECK(header_line(header).size() == header_line({2, 1, "boot", "", 0, 0}).size());
}
