#include <doctest/doctest.h>

#include "tests/unit/fake_host.hpp"

using namespace procd::api;
namespace core = procd::core;

namespace {

LogReport failed(const std::string& problem, int error) {
    LogReport report;
    report.problem = problem;
    report.error = error;
    return report;
}

}  // namespace

TEST_CASE("a log comes as notifications with the request's id, then the result") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.spawn(peer);
    const int request = desk.send(peer, "logs", {{"process", 1}, {"lines", 3}});
    REQUIRE(desk.host.logs.size() == 1);
    const auto& [log, reading] = *desk.host.logs.begin();
    CHECK(reading.connection == 1);
    CHECK(reading.request.path == "/log/1");
    CHECK(reading.request.uid == 1000);
    CHECK(reading.request.lines == 3);
    CHECK(!reading.request.follow);
    CHECK(desk.answer(request).is_null());
    CHECK(desk.api.owes(1));
    desk.api.log_chunk(log, {"one\n", 0, false});
    desk.api.log_chunk(log, {"tw\xff\n", 7, true});
    desk.api.log_chunk(log, {std::string("\0\n", 2), 3, false});
    CHECK(desk.events(1)[0] == Json{{"request", request}, {"data", "one\n"}});
    CHECK(
        desk.events(1)[1] ==
        Json{{"request", request}, {"data", {{"base64", "dHf/Cg=="}}}, {"dropped", 7}, {"truncated", true}});
    CHECK(desk.events(1)[2]["data"] == Json{{"base64", "AAo="}});
    LogReport report;
    report.remarks = {"so it is"};
    desk.api.log_end(log, report);
    CHECK(desk.answer(request)["result"] == Json{{"dropped", 10}, {"remarks", {"so it is"}}});
    const std::size_t sent = desk.host.sent.size();
    desk.api.log_chunk(log, {"late\n", 0, false});
    desk.api.log_end(log, report);
    CHECK(desk.host.sent.size() == sent);
}

TEST_CASE("a log is followed until its process has exited with its tree") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.spawn(peer);
    desk.send(peer, "logs", {{"process", 1}, {"follow", true}});
    const LogId log = desk.host.logs.begin()->first;
    CHECK(desk.host.logs.at(log).request.follow);
    CHECK(!desk.host.logs.at(log).request.lines);
    desk.api.happened(core::MainExited{1, {core::How::exited, 0, 0, false}});
    CHECK(!desk.host.logs.at(log).completed);
    desk.api.happened(core::TreeCounted{1, 0});
    CHECK(desk.host.logs.at(log).completed);
    // Of one that has exited there is nothing to follow.
    desk.send(peer, "logs", {{"process", 1}, {"follow", true}});
    CHECK(!desk.host.logs.rbegin()->second.request.follow);
}

TEST_CASE("a request whose id is a string comes back as one, and one without an id reads nothing") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.spawn(peer);
    desk.line(peer, R"({"id":"a","method":"logs","params":{"process":1}})");
    desk.api.log_chunk(desk.host.logs.begin()->first, {"x\n", 0, false});
    CHECK(desk.events(1)[0]["request"] == "a");
    desk.line(peer, R"({"method":"logs","params":{"process":1}})");
    CHECK(desk.host.logs.size() == 1);
}

TEST_CASE("which file a log is") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.spawn(peer);
    const int request = desk.send(peer, "logs", {{"process", 1}, {"locate", true}});
    const auto& [log, reading] = *desk.host.logs.begin();
    CHECK(reading.request.locate);
    LogReport report;
    report.device = 3;
    report.inode = 4;
    desk.api.log_end(log, report);
    CHECK(desk.answer(request)["result"]["file"] ==
          Json{{"path", "/log/1"}, {"device", 3}, {"inode", 4}, {"boot_id", "boot"}});
}

TEST_CASE("a process without a log says where its output goes") {
    Desk desk;
    const Peer peer = desk.peer(1);
    const auto complaint = [&](Json stdio) {
        desk.spawn(peer, {{"stdio", std::move(stdio)}, {"name", "x"}}, {descriptor("pipe")});
        return desk.complaint(peer, "logs", {{"process", desk.newest()}});
    };
    CHECK(complaint({{"stdout", "null"}, {"stderr", "null"}}) ==
          "1 (x) has no log: stdout and stderr go to /dev/null");
    CHECK(complaint({{"stdout", {{"file", "out"}}}, {"stderr", "null"}}) ==
          "2 (x) has no log: stdout goes to the file out, stderr to /dev/null");
    CHECK(complaint({{"stdout", {{"fd", 0}}}, {"stderr", "stdout"}}) ==
          "3 (x) has no log: stdout and stderr go to a descriptor of its starter's");
    CHECK(complaint({{"stdout", "null"}}) == "none");  // its stderr is logged
    CHECK(desk.host.logs.size() == 1);
    desk.ask(peer, "session", {{"stdio", {{"stdout", {{"fd", 0}}}, {"stderr", {{"fd", 0}}}}}},
             {descriptor("terminal")});
    desk.spawn(peer, {{"owner", {{"session", "s1"}}}, {"name", "x"}});
    CHECK(desk.complaint(peer, "logs", {{"process", 5}}) ==
          "5 (x) has no log: stdout and stderr go to the streams of session s1");
    CHECK(desk.refusal(peer, "logs", {{"process", 5}}) == "no_log");
    CHECK(desk.complaint(peer, "logs", {{"process", 4}, {"stderr", true}}) ==
          "4 (x) has no log for stderr alone: stdout goes to /dev/null, stderr to its log");
}

TEST_CASE("a log of stderr alone, and output in the journal") {
    Desk desk;
    const Peer peer = desk.peer(1);
    const Json separate{{"stdout", "null"}, {"stderr", "separate"}};
    desk.send(peer, "spawn", {{"command", {"x"}}, {"name", "x"}, {"stdio", separate}});
    desk.api.happened(core::LaunchSucceeded{1, 4001, {}, "/log/err"});
    CHECK(desk.complaint(peer, "logs", {{"process", 1}}) ==
          "1 (x) has no log: stdout goes to /dev/null, stderr to a log of its own");
    desk.send(peer, "logs", {{"process", 1}, {"stderr", true}});
    CHECK(desk.host.logs.begin()->second.request.path == "/log/err");
    desk.send(peer, "spawn", {{"command", {"x"}}, {"name", "x"}, {"log", {{"via", "journal"}}}});
    desk.api.happened(core::LaunchSucceeded{2, 4002, {}, {}});
    CHECK(desk.complaint(peer, "logs", {{"process", 2}}) ==
          "2 (x) has no log: stdout and stderr go to the journal");
}

TEST_CASE("logs that cannot be read") {
    Desk desk(0);
    const Peer alice = desk.peer(1, 2001), bob = desk.peer(2, 2002), root = desk.peer(3, 0);
    desk.ask(alice, "create", {{"command", {"true"}}});
    CHECK(desk.refusal(alice, "logs", {{"process", 1}}) == "not_started");
    desk.spawn(alice);
    CHECK(desk.refusal(bob, "logs", {{"process", 2}}) == "no_such_process");
    CHECK(desk.refusal(alice, "logs", {{"process", 9}}) == "no_such_process");
    CHECK(desk.complaint(alice, "logs", {{"process", 2}, {"lines", -1}}) ==
          "params.lines: expected an integer ≥ 0");
    CHECK(desk.host.logs.empty());
    const int request = desk.send(root, "logs", {{"process", 2}});
    CHECK(desk.host.logs.begin()->second.request.uid == 2001);
    desk.api.log_end(desk.host.logs.begin()->first, failed("open /log/2: No such file or directory", 2));
    const Json error = desk.answer(request)["error"];
    CHECK(error["data"] == Json{{"kind", "no_log"}, {"errno", 2}});
    CHECK(error["message"] == "open /log/2: No such file or directory");
    CHECK(!desk.api.owes(3));
    desk.host.out_of_threads = true;
    CHECK(desk.refusal(alice, "logs", {{"process", 2}}) == "limit");
}

TEST_CASE("a user reads a bounded number of logs at once, and so do all together; a hang-up ends its own") {
    Desk desk(0);
    const Peer alice = desk.peer(1, 2001), other = desk.peer(2, 2001), bob = desk.peer(3, 2002);
    const Peer root = desk.peer(4, 0);
    desk.spawn(alice);
    desk.spawn(bob);
    for (std::size_t i = 0; i < LogStreams::k_most_of_user; ++i)
        desk.send(i % 2 == 0 ? alice : other, "logs", {{"process", 1}, {"follow", true}});
    CHECK(desk.host.logs.size() == LogStreams::k_most_of_user);
    CHECK(desk.complaint(alice, "logs", {{"process", 1}}) ==
          "user 2001 reads 64 logs, the most that one may at once");
    CHECK(desk.refusal(bob, "logs", {{"process", 2}}) == "none");
    for (std::size_t i = LogStreams::k_most_of_user + 1; i < LogStreams::k_most; ++i)
        desk.send(root, "logs", {{"process", 1}, {"follow", true}});
    CHECK(desk.complaint(root, "logs", {{"process", 1}}) ==
          "256 logs are being read, the most that procd reads at once");
    desk.api.connection_closed(1);
    CHECK(desk.host.logs.size() == LogStreams::k_most - LogStreams::k_most_of_user / 2);
    CHECK(desk.api.owes(2));
    for (const auto& [log, reading] : desk.host.logs) CHECK(reading.connection != 1);
}

TEST_CASE("a thread that reads on for nobody counts as a log that its user reads") {
    Desk desk(0);
    const Peer alice = desk.peer(1, 2001), bob = desk.peer(2, 2002);
    desk.spawn(alice);
    desk.spawn(bob);
    desk.host.stuck_log_threads[2001] = LogStreams::k_most_of_user - 1;
    desk.send(alice, "logs", {{"process", 1}, {"follow", true}});
    CHECK(desk.host.logs.size() == 1);
    CHECK(desk.complaint(alice, "logs", {{"process", 1}}) ==
          "user 2001 reads 64 logs, the most that one may at once");
    CHECK(desk.refusal(bob, "logs", {{"process", 2}}) == "none");
    desk.host.stuck_log_threads[0] = LogStreams::k_most;
    CHECK(desk.refusal(bob, "logs", {{"process", 2}}) == "limit");
    desk.host.stuck_log_threads.clear();
    CHECK(desk.refusal(alice, "logs", {{"process", 1}}) == "none");
}
