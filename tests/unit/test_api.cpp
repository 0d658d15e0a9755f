#include <doctest/doctest.h>

#include "daemon/api/dispatch.hpp"
#include "tests/unit/fake_host.hpp"

using namespace procd::api;
namespace core = procd::core;
namespace proto = procd::proto;

namespace {

// Parameters that a method takes, where it needs some; process 1 is there.
Json good_params(const std::string& method) {
    if (method == "create" || method == "spawn") return {{"command", {"x"}}};
    if (method == "rename") return {{"process", 1}, {"name", "new"}};
    if (method == "session.end") return {{"session", "s1"}};
    if (method == "signal") return {{"processes", {1}}, {"signal", 15}};
    for (const char* one : {"start", "status", "set", "sentinel", "logs"})
        if (method == one) return {{"process", 1}};
    for (const char* many : {"wait", "terminate", "kill", "interrupt", "close"})
        if (method == many) return {{"processes", {1}}};
    return Json::object();
}

}  // namespace

TEST_CASE("a line that is no request is answered with what is wrong, under its id or null") {
    Desk desk;
    const Peer peer = desk.peer(1);
    for (const char* line : {"nope", "[]", R"({"id":"a","method":7})"}) CHECK(desk.line(peer, line));
    REQUIRE(desk.host.sent.size() == 3);
    const auto reply = [&](std::size_t i) { return Json::parse(desk.host.sent[i].line); };
    CHECK(reply(0)["id"].is_null());
    CHECK(reply(0)["error"]["code"] == -32700);
    CHECK(reply(0)["error"]["data"]["kind"] == "parse_error");
    CHECK(reply(1)["error"]["code"] == -32600);
    CHECK(reply(2)["id"] == "a");
    CHECK(reply(2)["error"]["data"]["kind"] == "invalid_request");
    desk.api.refuse_line(peer, {proto::ErrorKind::too_large, "too long", proto::OrderedJson::object()});
    CHECK(reply(3)["id"].is_null());
    CHECK(reply(3)["error"]["data"]["kind"] == "too_large");
}

TEST_CASE("a method that is not there is said so, and cut where it is long") {
    Desk desk;
    CHECK(desk.refusal(desk.peer(1), "jump") == "no_such_method");
    CHECK(desk.refusal(desk.peer(1), "") == "no_such_method");
    CHECK(desk.refusal(desk.peer(1), "Hello") == "no_such_method");
    CHECK(desk.complaint(desk.peer(1), std::string(5000, 'x')) == "no such method: " + std::string(100, 'x'));
}

TEST_CASE("at a user's own procd nobody else may anything, but for root") {
    Desk desk(1000);
    desk.spawn(desk.peer(1));
    desk.ask(desk.peer(1), "session");
    for (const std::string& method : method_names()) {
        CAPTURE(method);
        CHECK(desk.refusal(desk.peer(2, 2000), method, good_params(method)) == "not_permitted");
    }
    CHECK(desk.refusal(desk.peer(3, 0), "hello") == "none");
    CHECK(desk.ask(desk.peer(3, 0), "list")["processes"].size() == 1);
    CHECK_FALSE(desk.api.core().stopping());
    CHECK(desk.refusal(desk.peer(3, 0), "shutdown") == "none");
}

TEST_CASE("at root's procd everybody may everything but stop or replace it") {
    Desk desk(0);
    const Peer user = desk.peer(1, 2000);
    CHECK(desk.complaint(user, "shutdown") == "user 2000 may not shutdown");
    CHECK_FALSE(desk.api.core().stopping());
    for (const std::string& method : method_names()) {
        if (method == "shutdown" || method == "upgrade") continue;
        CAPTURE(method);
        CHECK(desk.refusal(user, method, good_params(method)) != "not_permitted");
    }
    CHECK(desk.refusal(desk.peer(2, 0), "shutdown") == "none");
    CHECK(desk.api.core().stopping());
}

TEST_CASE("an unknown parameter is an error before anything is done, in every method") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.spawn(peer);
    desk.ask(peer, "session");
    desk.host.performed.clear();
    const auto seq = desk.ask(peer, "list")["seq"];
    for (const std::string& method : method_names()) {
        CAPTURE(method);
        Json params = good_params(method);
        params["surprise"] = 1;
        CHECK(desk.complaint(peer, method, params) == "params.surprise: unknown parameter");
        params = good_params(method);
        for (auto& [key, value] : params.items()) {
            Json wrong = params;
            wrong[key] = {{"surprise", true}};
            const std::string wrong_one = key;
            CAPTURE(wrong_one);
            CHECK(desk.refusal(peer, method, wrong) == "bad_request");
        }
    }
    CHECK(desk.host.performed.empty());
    CHECK(desk.ask(peer, "list")["seq"] == seq);
    CHECK_FALSE(desk.api.core().stopping());
}

TEST_CASE("a request without an id is done and never answered") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.line(peer, R"({"method":"spawn","params":{"command":["x"]}})");
    CHECK(desk.host.all<core::Launch>().size() == 1);
    desk.runs(1);
    desk.line(peer, R"({"method":"wait","params":{"processes":[1]}})");
    desk.line(peer, R"({"method":"terminate","params":{"processes":[1],"wait":true}})");
    CHECK(desk.host.all<core::SendSignal>().size() == 1);
    desk.ends(1);
    for (const char* wrong : {R"({"method":"jump"})", R"({"method":"status","params":{"process":99}})",
                              R"({"method":"spawn","params":{}})", R"({"method":"hello","surprise":1})"})
        desk.line(peer, wrong);
    CHECK(desk.host.sent.empty());
    desk.line(peer, R"({"id":null,"method":"hello"})");  // null is an id
    CHECK(desk.host.sent.size() == 1);
}

TEST_CASE("an answer is on its way before what was decided is done") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.spawn(peer);
    desk.host.order.clear();
    desk.ask(peer, "terminate", {{"processes", {1}}});
    CHECK(desk.host.order == std::vector<std::string>{"send", "perform"});
}

TEST_CASE("hello says who answers and what it can") {
    Desk desk;
    const Json hello = desk.ask(desk.peer(1), "hello");
    CHECK(hello["server"] == "procd");
    CHECK(hello["version"] == "1.2.3");
    CHECK(hello["protocol"] == 1);
    CHECK(hello["pid"] == 77);
    CHECK(hello["uid"] == 1000);
    CHECK(hello["boot_id"] == "boot");
    CHECK(hello["containment"] == "nothing keeps anything here");
    CHECK(hello["capabilities"] == Json(method_names()));
    CHECK(desk.ask(desk.peer(1), "rpc.discover")["info"]["version"] == "1.2.3");
}

TEST_CASE("whoami is the managed process and the session that the client runs in") {
    Desk desk;
    const Peer outside = desk.peer(1), within = desk.peer(2);
    CHECK(desk.ask(outside, "whoami") == Json{{"process", nullptr}, {"session", nullptr}});
    desk.spawn(outside, {{"name", "foo"}});
    desk.host.inside[2] = 1;
    CHECK(desk.ask(within, "whoami")["process"]["name"] == "foo");
    CHECK(desk.ask(within, "whoami")["session"].is_null());

    desk.ask(outside, "session");
    desk.spawn(outside, {{"owner", {{"session", "s1"}}}});
    desk.host.inside[2] = 2;
    CHECK(desk.ask(within, "whoami")["session"] == "s1");
    desk.host.around[3] = 1;
    CHECK(desk.ask(desk.peer(3), "whoami") == Json{{"process", nullptr}, {"session", "s1"}});
}

TEST_CASE("a spawn is answered when the child has exec'd, or could not") {
    Desk desk;
    const Peer peer = desk.peer(1);
    const int good = desk.send(peer, "spawn", {{"command", {"sleep", "1"}}, {"name", "foo"}});
    CHECK(desk.answer(good).is_null());
    desk.runs(1);
    const Json process = desk.answer(good)["result"];
    CHECK(process["state"] == "running");
    CHECK(process["alive"] == true);
    CHECK(process["pid"] == 4001);
    CHECK(process["name"] == "foo");
    CHECK(process["owner"]["kind"] == "connection");
    CHECK(process["owner"]["pid"] == 4001);
    CHECK(process["owner"]["comm"] == "bash");
    CHECK(process["command"] == Json{"sleep", "1"});
    CHECK(process["exitcode"].is_null());
    CHECK(process["created"] == "2023-11-14T22:13:20.000000Z");

    const int bad = desk.send(peer, "spawn", {{"command", {"nope"}}, {"name", "bar"}});
    desk.api.happened(core::LaunchFailed{2, {"exec", 2, false}});
    const Json error = desk.answer(bad)["error"];
    CHECK(error["code"] == 1);
    CHECK(error["message"] == "cannot start bar: exec nope: No such file or directory");
    CHECK(error["data"] == Json{{"kind", "exec_failed"}, {"stage", "exec"}, {"errno", 2}});
    CHECK(desk.ask(peer, "list")["processes"].size() == 1);
}

TEST_CASE("a request that looks at processes waits for the starts that its connection sent before") {
    Desk desk;
    const Peer peer = desk.peer(1), other = desk.peer(2);
    desk.send(peer, "spawn", {{"command", {"x"}}});
    const int early = desk.send(peer, "list");
    CHECK_FALSE(desk.taken);
    CHECK(desk.answer(early).is_null());
    desk.send(other, "list");
    CHECK(desk.taken);
    desk.send(peer, "hello");
    CHECK(desk.taken);
    desk.runs(1);
    CHECK(desk.host.resumed == std::vector<core::ConnectionId>{1});
    CHECK(desk.ask(peer, "list")["processes"][0]["state"] == "running");
}

TEST_CASE("a child that speaks before its start is recorded waits for the record") {
    Desk desk;
    desk.send(desk.peer(1), "spawn", {{"command", {"x"}}});
    desk.host.in_launch.insert(2);
    desk.send(desk.peer(2), "whoami");
    CHECK_FALSE(desk.taken);
    desk.host.in_launch.clear();
    desk.runs(1);
    CHECK(desk.host.resumed == std::vector<core::ConnectionId>{2});
}

TEST_CASE("answers that come later are dropped when their connection closes") {
    Desk desk;
    const Peer keeper = desk.peer(1), leaver = desk.peer(2);
    desk.spawn(keeper);
    desk.send(leaver, "wait", {{"processes", {1}}});
    desk.send(leaver, "terminate", {{"processes", {1}}, {"wait", true}});
    desk.send(leaver, "spawn", {{"command", {"x"}}, {"owner", "procd"}});
    CHECK(desk.api.owes(2));
    desk.host.sent.clear();
    desk.api.connection_closed(2);
    CHECK_FALSE(desk.api.owes(2));
    desk.runs(2);
    desk.ends(1);
    CHECK(desk.host.sent.empty());
    CHECK(desk.api.core().find(2)->alive());
}

TEST_CASE("procd owes a connection its answers, its events, and what it owns") {
    Desk desk;
    CHECK_FALSE(desk.api.owes(1));
    desk.spawn(desk.peer(1));
    CHECK(desk.api.owes(1));
    desk.ends(1);
    CHECK_FALSE(desk.api.owes(1));
    desk.ask(desk.peer(2), "subscribe");
    CHECK(desk.api.owes(2));
    desk.ask(desk.peer(3), "session");
    CHECK(desk.api.owes(3));
    desk.ask(desk.peer(4), "hello");
    CHECK_FALSE(desk.api.owes(4));
}

TEST_CASE("a request whose descriptors did not all arrive is refused, under its id") {
    Desk desk;
    desk.api.refuse_descriptors(desk.peer(1), R"({"id":7,"method":"spawn"})", "no room");
    CHECK(desk.answer(7)["error"]["data"]["kind"] == "limit");
    desk.host.sent.clear();
    desk.api.refuse_descriptors(desk.peer(1), R"({"method":"spawn"})", "no room");
    CHECK(desk.host.sent.empty());
}
