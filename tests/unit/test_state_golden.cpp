#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include <doctest/doctest.h>

#include "daemon/state/snapshot.hpp"

// A state of each version that there has been is kept, and every later procd must be able to go on from it.
using namespace procd;
using namespace procd::state;

namespace {

const std::string k_file = PROCD_SOURCE_DIR "/tests/unit/golden/state-1";

std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

core::Process process(core::ProcessId id, core::Phase phase) {
    core::Process process;
    process.id = id;
    process.uid = 1000;
    process.name = "Process-" + std::to_string(id);
    process.identity = std::to_string(id);
    process.daemon = id % 2 == 0;
    process.owner = {static_cast<core::OwnerKind>(id % 5), static_cast<std::uint64_t>(id)};
    process.owner_facts = {4000 + id, "owner", static_cast<std::uint64_t>(id) * 100};
    process.was = "session s3";
    core::LifeRecord life;
    life.phase = phase;
    life.grace = std::chrono::seconds(10);
    const bool ended =
        phase == core::Phase::exited || phase == core::Phase::lingering || phase == core::Phase::kept;
    life.main_alive = phase != core::Phase::initial && !ended;
    life.keep_leftovers = phase == core::Phase::kept;
    if (phase == core::Phase::ending) life.deadline = core::Mono(std::chrono::seconds(1234));
    process.life = core::Life(life);
    process.command = {"/bin/sh", "-c", "exit $1", "sh", std::string("\xff", 1)};
    process.cwd = "/home/user";
    process.log_spec = {core::LogVia::pipe, 65536, 2, true};
    process.output = "stdout and stderr go to its log";
    process.created = core::Wall(std::chrono::seconds(1'700'000'000));
    if (phase == core::Phase::initial) {
        auto spec = std::make_shared<core::LaunchSpec>();
        spec->command = process.command;
        spec->env = std::vector<std::string>{"PATH=/usr/bin", "A=\xfe"};
        spec->stdio = {core::ToNull{}, core::ToFile{"out", true}, core::ToStdout{}};
        spec->limits = {{"nofile", 1024, ~std::uint64_t{0}, false}};
        spec->identity = {1000, 100, {100, 27}, true};
        process.spec = spec;
        return process;
    }
    process.pid = 5000 + id;
    process.start_time = 99;
    process.started = process.created;
    process.log = "/log/" + std::to_string(id);
    process.log_stderr = "/log/" + std::to_string(id) + ".err";
    process.signals_sent = {15};
    process.end_cause = core::Cause::client;
    if (!ended) return process;
    process.ended = process.created;
    process.ending = core::Ending{core::Exit{core::How::signaled, 0, 15, false}, core::Cause::client, 1};
    return process;
}

Snapshot everything() {
    Snapshot snapshot;
    snapshot.saved.next_id = 100;
    snapshot.saved.next_session = 9;
    core::ProcessId id = 1;
    for (const auto phase :
         {core::Phase::initial, core::Phase::running, core::Phase::lingering, core::Phase::kept,
          core::Phase::ending, core::Phase::killing, core::Phase::exited})
        snapshot.saved.processes.push_back(process(id++, phase));
    snapshot.closed.push_back(process(id, core::Phase::exited));
    core::Owner owner;
    owner.key = {core::OwnerKind::procd, 1000};
    owner.uid = 1000;
    owner.constructions = 17;
    owner.ending = true;
    snapshot.saved.owners.push_back(owner);
    const DescriptorText descriptor{7, 1000, true};
    snapshot.instance = {3, 4, "/sys/fs/cgroup/x/procd-1", 12, 34, 5, 678, true, 1024, -1, 2, "\"id\""};
    snapshot.connections.push_back({2,
                                    8,
                                    4242,
                                    1000,
                                    100,
                                    {100},
                                    9,
                                    true,
                                    true,
                                    {"{\"id\": 1, \xff"},
                                    true,
                                    {{3, {descriptor}, "why"}},
                                    {{{"{}\n"}, descriptor}},
                                    true});
    snapshot.sessions.push_back({7, 2, 1000, "ci", descriptor, descriptor});
    snapshot.waits.push_back({33, 2, 1000, {2, 3}, core::WaitMode::any, 1, 99999});
    snapshot.deferred.push_back({33, 2, 1000, 256, "1", true, std::vector<std::int64_t>{2, 3}});
    snapshot.subscribers.push_back({2, 1000, true, 3, {7}});
    snapshot.events.push_back({678, 1000, "{}\n"});
    snapshot.logs.push_back({4, 2, 3, "5", 1000, 1000, {"/log/3"}, 10, 4096, 2, true, true, 11});
    snapshot.children.push_back({2, 10, 11, 12, true, {{5001, 98}}});
    snapshot.descriptors.push_back({1, descriptor, descriptor, descriptor, descriptor, {descriptor}});
    return snapshot;
}

}  // namespace

TEST_CASE("a state of version 1 is one that this procd can go on from") {
    if (std::getenv("PROCD_WRITE_GOLDEN_STATE")) {
        std::ofstream(k_file, std::ios::binary) << text_of(everything());
        MESSAGE("wrote " << k_file);
        return;
    }
    const std::string text = read(k_file);
    REQUIRE_MESSAGE(!text.empty(), k_file << " is missing");
    const auto read_back = snapshot_from(text);
    REQUIRE_MESSAGE(std::holds_alternative<Snapshot>(read_back), std::get<std::string>(read_back));
    const auto& snapshot = std::get<Snapshot>(read_back);
    CHECK(snapshot.saved.processes.size() == 7);
    CHECK(snapshot.closed.size() == 1);
    CHECK(snapshot.instance.request == "\"id\"");
    CHECK(snapshot.connections.front().input.value == "{\"id\": 1, \xff");
    CHECK(snapshot.waits.front().mode == core::WaitMode::any);
    CHECK(snapshot.descriptors.front().more.size() == 1);
}

TEST_CASE("a state says all of it again when it is written once more") {
    const std::string text = text_of(everything());
    const auto read_back = snapshot_from(text);
    REQUIRE_MESSAGE(std::holds_alternative<Snapshot>(read_back), std::get<std::string>(read_back));
    CHECK(text_of(std::get<Snapshot>(read_back)) == text);
}

TEST_CASE("half a state is none, and why is said") {
    const std::string text = text_of(everything());
    for (std::size_t cut = 0; cut < text.size(); cut += 101)
        CHECK(std::holds_alternative<std::string>(snapshot_from(std::string_view(text).substr(0, cut))));
    std::string spoiled = text;
    spoiled[text.size() / 2] ^= 1;
    CHECK(std::get<std::string>(snapshot_from(spoiled)).find("cannot be read") != std::string::npos);
    CHECK(std::get<std::string>(snapshot_from("")) == "it is no state of procd's");
}
