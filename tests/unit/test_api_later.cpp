#include <csignal>

#include <doctest/doctest.h>

#include "tests/unit/fake_host.hpp"

using namespace procd::api;
namespace core = procd::core;

TEST_CASE("a wait is answered when it is over, and blocks nobody") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.spawn(peer, {{"name", "a"}});
    desk.spawn(peer, {{"name", "b"}});
    CHECK(desk.complaint(peer, "wait", {{"processes", Json::array()}}) == "params.processes: is empty");
    CHECK(desk.ask(peer, "wait", {{"processes", {1, 2}}, {"timeout", 0}}) ==
          Json{{"processes", Json::array()}, {"timed_out", true}});
    const int all = desk.send(peer, "wait", {{"processes", {"a", 2}}});
    const int any = desk.send(peer, "wait", {{"processes", {"a", 2}}, {"mode", "any"}});
    CHECK(desk.refusal(peer, "hello") == "none");
    desk.ends(2, 3);
    CHECK(desk.answer(all).is_null());
    CHECK(desk.answer(any)["result"]["processes"][0]["id"] == 2);
    CHECK(desk.answer(any)["result"]["timed_out"] == false);
    desk.ends(1);
    const Json done = desk.answer(all)["result"];
    CHECK(done["processes"].size() == 2);
    CHECK(done["processes"][1]["exitcode"] == 3);
    CHECK(done["processes"][1]["state"] == "exited");
}

TEST_CASE("a wait of the longest time does not overflow") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.spawn(peer);
    const int wait = desk.send(peer, "wait", {{"processes", {1}}, {"timeout", 1e300}});
    CHECK(*desk.api.core().next_deadline() > desk.host.clock.mono + std::chrono::hours(24 * 365));
    desk.ends(1);
    CHECK(desk.answer(wait)["result"]["timed_out"] == false);
}

TEST_CASE("terminate answers at once, or with wait when the trees are gone") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.spawn(peer);
    CHECK(desk.ask(peer, "terminate", {{"processes", {1}}, {"grace", 5}})["processes"][0]["state"] ==
          "stopping");
    const int waiting = desk.send(peer, "terminate", {{"processes", {1}}, {"wait", true}});
    CHECK(desk.answer(waiting).is_null());
    desk.ends(1);
    CHECK(desk.answer(waiting)["result"]["processes"][0]["state"] == "exited");
    CHECK_FALSE(desk.answer(waiting)["result"].contains("timed_out"));
    CHECK(desk.ask(peer, "terminate", {{"processes", {1}}, {"wait", true}})["processes"].size() == 1);
    CHECK(desk.ask(peer, "terminate", {{"processes", Json::array()}, {"wait", true}}) ==
          Json{{"processes", Json::array()}});
}

TEST_CASE("a terminate that cannot wait does nothing") {
    core::Config config;
    config.max_waits = 1;
    Desk desk(0, config);
    const Peer peer = desk.peer(1, 2000);
    desk.spawn(peer);
    desk.send(peer, "wait", {{"processes", {1}}});
    CHECK(desk.refusal(peer, "terminate", {{"processes", {1}}, {"wait", true}}) == "limit");
    CHECK(desk.host.all<core::SendSignal>().empty());
}

TEST_CASE("a process may end itself and wait for it, but not only wait") {
    Desk desk;
    desk.spawn(desk.peer(1));
    desk.host.inside[2] = 1;
    const Peer within = desk.peer(2);
    CHECK(desk.refusal(within, "wait", {{"processes", {1}}}) == "deadlock");
    desk.send(within, "terminate", {{"processes", {1}}, {"wait", true}});
    CHECK(desk.host.all<core::SendSignal>().size() == 1);
}

TEST_CASE("signals go to the main, with tree to all") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.spawn(peer);
    desk.ask(peer, "interrupt", {{"processes", {1}}});
    desk.ask(peer, "signal", {{"processes", {1}}, {"signal", "USR1"}, {"tree", true}});
    const auto sent = desk.host.all<core::SendSignal>();
    REQUIRE(sent.size() == 2);
    CHECK(sent[0].signal == SIGINT);
    CHECK_FALSE(sent[0].tree);
    CHECK(sent[1].signal == SIGUSR1);
    CHECK(sent[1].tree);
    desk.ask(peer, "kill", {{"processes", {1}}});
    CHECK(desk.host.all<core::KillTree>().size() == 1);
}

TEST_CASE("a session is a lease of its connection") {
    Desk desk;
    const Peer holder = desk.peer(1), user = desk.peer(2);
    CHECK(desk.ask(holder, "session", {{"name", "ci"}}) == Json{{"session", "s1"}});
    CHECK(desk.complaint(holder, "session", {{"stdio", {{"stdout", "null"}}}})
              .starts_with("params.stdio.stdout: "));
    CHECK(desk.complaint(holder, "session", {{"stdio", {{"stdin", "log"}}}})
              .starts_with("params.stdio.stdin: "));
    desk.spawn(user, {{"owner", {{"session", "s1"}}}, {"daemon", true}});
    desk.spawn(user, {{"owner", {{"session", "s1"}}}, {"name", "worker"}});
    CHECK(desk.ask(user, "list", {{"owner", {{"session", "s1"}}}})["processes"].size() == 2);
    CHECK(desk.refusal(user, "session.end", {{"session", "s1"}}) == "not_permitted");
    CHECK(desk.refusal(holder, "session.end", {{"session", "s9"}}) == "owner_gone");
    CHECK(desk.refusal(holder, "session.end", {{"session", "ci"}}) == "bad_request");
    const Json left = desk.ask(holder, "session.end", {{"session", "s1"}})["processes"];
    REQUIRE(left.size() == 1);
    CHECK(left[0]["name"] == "worker");
    CHECK(desk.host.all<core::SendSignal>()[0].id == 1);
    desk.api.connection_closed(1);
    const Json worker = desk.ask(user, "status", {{"process", "worker"}});
    CHECK(worker["owner"]["kind"] == "procd");
    CHECK(worker["owner"]["was"] == "session s1");
}

TEST_CASE("shutdown begins, and its words exclude each other") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.spawn(peer, {{"daemon", true}});
    CHECK(desk.refusal(peer, "shutdown", {{"wait", true}, {"now", true}}) == "bad_request");
    CHECK_FALSE(desk.api.core().stopping());
    CHECK(desk.ask(peer, "shutdown", {{"wait", false}}) == Json::object());
    CHECK(desk.host.all<core::SendSignal>().size() == 1);
    CHECK(desk.refusal(peer, "spawn", {{"command", {"x"}}}) == "shutting_down");
    CHECK(desk.refusal(peer, "session") == "shutting_down");
}

TEST_CASE("an upgrade is begun for who may ask for it, and answered when it is over") {
    Desk desk(0);
    const Peer root = desk.peer(1, 0), user = desk.peer(2, 1000);
    CHECK(desk.refusal(user, "upgrade") == "not_permitted");
    CHECK(desk.refusal(root, "upgrade", {{"binary", "procd"}}) == "bad_request");
    CHECK(desk.host.upgrades.empty());
    const int id = desk.send(root, "upgrade", {{"binary", "/usr/bin/procd"}});
    REQUIRE(desk.host.upgrades.size() == 1);
    CHECK(desk.host.upgrades[0].first == "/usr/bin/procd");
    CHECK(desk.answer(id).is_null());
    const UpgradeRequest request = desk.host.upgrades[0].second;
    desk.api.upgrade_failed(request, {"exec /usr/bin/procd: Permission denied", 13, true});
    CHECK(desk.answer(id)["error"]["data"]["kind"] == "exec_failed");
    CHECK(desk.answer(id)["error"]["data"]["errno"] == 13);
    const int again = desk.send(root, "upgrade");
    desk.api.upgraded(desk.host.upgrades[1].second, "9.9");
    CHECK(desk.answer(again)["result"] == Json{{"version", "9.9"}});
    desk.host.upgrade_refused =
        core::Refusal{core::RefusalKind::limit, "another upgrade is under way", {}, {}};
    CHECK(desk.refusal(root, "upgrade") == "limit");
}

TEST_CASE("a subscription gives all processes, then each change in order") {
    Desk desk;
    const Peer peer = desk.peer(1), reader = desk.peer(2);
    desk.spawn(peer, {{"name", "before"}});
    const Json all = desk.ask(reader, "subscribe");
    CHECK(all["processes"].size() == 1);
    CHECK(all["seq"] == 2);
    desk.spawn(peer, {{"name", "after"}});
    desk.ends(2);
    desk.ask(peer, "close", {{"processes", {2}}});
    std::vector<std::string> types;
    std::int64_t seq = 2;
    for (const Json& event : desk.events(2)) {
        types.push_back(event["type"]);
        CHECK(event["seq"] == ++seq);
        CHECK(event["process"]["name"] == "after");
    }
    CHECK(types == std::vector<std::string>{"created", "started", "exited", "closed"});
    CHECK(desk.events(1).empty());
    CHECK(desk.events(2)[1]["process"]["state"] == "running");
    CHECK(desk.events(2)[0]["time"] == "2023-11-14T22:13:20.000000Z");
    desk.api.connection_closed(2);
    desk.spawn(peer);
    CHECK(desk.events(2).size() == 4);
}

TEST_CASE("the answer to a subscription comes before its events, those since a seq too") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.ask(desk.peer(2), "subscribe");  // from now on events are kept
    desk.spawn(peer);
    desk.host.order.clear();
    const Json since = desk.ask(desk.peer(3), "subscribe", {{"since", 1}});
    CHECK(since == Json{{"processes", Json::array()}, {"seq", 1}});
    CHECK(desk.host.order == std::vector<std::string>{"send", "event"});
    CHECK(desk.events(3)[0]["type"] == "started");
    CHECK(desk.ask(desk.peer(4), "subscribe", {{"since", 2}})["processes"].empty());
    CHECK(desk.events(4).empty());
    // What never was, or is no more, gives the whole picture.
    CHECK(desk.ask(desk.peer(5), "subscribe", {{"since", 99}})["processes"].size() == 1);
    for (std::size_t i = 0; i <= EventStream::k_kept; ++i)
        desk.line(peer,
                  Json{{"method", "rename"}, {"params", {{"process", 1}, {"name", i % 2 ? "odd" : "even"}}}}
                      .dump());
    CHECK(desk.ask(desk.peer(6), "subscribe", {{"since", 1}})["processes"].size() == 1);
    CHECK(desk.events(6).empty());
}

TEST_CASE("a reader that is too slow is told so once, and slows nobody") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.ask(desk.peer(2), "subscribe");
    desk.ask(desk.peer(3), "subscribe");
    desk.host.slow.insert(2);
    desk.spawn(peer);
    CHECK(desk.events(2) == std::vector<Json>{{{"overflow", true}}});
    CHECK(desk.events(3).size() == 2);
    desk.host.slow.clear();
    desk.ends(1);
    CHECK(desk.events(2).size() == 1);
    CHECK(desk.ask(desk.peer(2), "subscribe", {{"since", 2}})["seq"] == 2);
    CHECK(desk.events(2).back()["type"] == "exited");
}

TEST_CASE("nobody is told of another user's processes") {
    Desk desk(0);
    desk.ask(desk.peer(1, 2001), "subscribe");
    desk.ask(desk.peer(2, 0), "subscribe");
    desk.spawn(desk.peer(3, 2002));
    CHECK(desk.events(1).empty());
    CHECK(desk.events(2).size() == 2);
    CHECK(desk.ask(desk.peer(4, 2001), "subscribe", {{"since", 0}})["seq"] == 0);
    CHECK(desk.events(4).empty());
}

TEST_CASE("what could not be looked up for want of descriptors is a limit, and no answer about it") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.host.pids[12] = 1000;
    desk.host.no_pidfd_to_be_had = true;
    const Json owned{{"command", {"true"}}, {"owner", {{"pid", 12}}}};
    const Json error = desk.ask(peer, "spawn", owned)["error"];
    CHECK(error["data"]["kind"] == "limit");
    CHECK(error["data"]["errno"] == 24);
    CHECK(error["message"] == "pidfd_open 12: Too many open files");
    CHECK(desk.refusal(peer, "list", {{"owner", {{"pid", 12}}}}) == "limit");
    CHECK(desk.refusal(peer, "spawn", {{"command", {"true"}}, {"owner", {{"pidfd", 0}}}},
                       {descriptor("12")}) == "limit");
    desk.host.no_pidfd_to_be_had = false;
    CHECK(desk.refusal(peer, "list", {{"owner", {{"pid", 12}}}}) == "none");

    desk.host.out_of_descriptors = true;
    // Who asks is not known: taken for somebody in no process it would own what it spawns by itself.
    CHECK(desk.refusal(peer, "spawn", {{"command", {"true"}}}) == "limit");
    CHECK(desk.refusal(peer, "whoami") == "limit");
    CHECK(desk.refusal(peer, "hello") == "none");
    CHECK(desk.api.core().processes().empty());
    desk.host.out_of_descriptors = false;
    const int spawning = desk.send(peer, "spawn", {{"command", {"true"}}});
    CHECK(desk.answer(spawning).is_null());
    desk.host.out_of_descriptors = true;
    CHECK(desk.refusal(desk.peer(2), "whoami") == "limit");  // it may be a process that is being started
}
