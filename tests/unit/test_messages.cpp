#include <algorithm>
#include <set>

#include <doctest/doctest.h>

#include "daemon/api/dispatch.hpp"
#include "proto/describe.hpp"
#include "proto/messages.hpp"
#include "tests/unit/wire.hpp"

using namespace procd::proto;

namespace {

// Whether a message, written and read again and written again, is what it was.
template <class T>
void check_round_trip(const std::string& json) {
    CAPTURE(json);
    CHECK(decoded<T>(json) == json);
}

const std::string k_process =
    R"({"id":3,"name":"foo","pid":4242,"daemon":true,"owner":{"kind":"session","process":null,"session":"s7",)"
    R"("pid":4100,"comm":"bash","was":"session s6"},"state":"exited","alive":false,"exitcode":-15,)"
    R"("result":{"how":"signaled","code":null,"signal":15,"core":false,"cause":"owner","leftovers":2},"uid":1000,)"
    R"("fate":"ended","command":["sleep","100"],"cwd":"/","created":"2026-01-02T03:04:05.678901Z",)"
    R"("started":"2026-01-02T03:04:05.678901Z","ended":null,"uptime":1.5,"log":"/log/3","log_stderr":null})";

std::set<std::string> keys(const OrderedJson& object) {
    std::set<std::string> all;
    for (const auto& [key, value] : object.items()) all.insert(key);
    return all;
}

}  // namespace

TEST_CASE("every message comes back as it was sent") {
    check_round_trip<Nothing>("{}");
    check_round_trip<HelloResult>(
        R"({"server":"procd","version":"1","protocol":1,"pid":2,"uid":3,"boot_id":"b","containment":"c","capabilities":["x"]})");
    check_round_trip<WhoamiResult>(R"({"process":null,"session":"s7"})");
    check_round_trip<WhoamiResult>(R"({"process":)" + k_process + R"(,"session":null})");
    check_round_trip<CreateParams>(R"({"command":["x"]})");
    check_round_trip<CreateParams>(
        R"({"command":["x",{"base64":"/w=="}],"name":"n","daemon":true,"owner":{"pid":7},"cwd":"/tmp","env":{"A":"1"},)"
        R"("umask":"077","rlimits":{"core":[0,0]},"stdio":{"stdin":"null","stdout":"log","stderr":"stdout"},"fds":[0,1],)"
        R"("terminal":2,)"
        R"("user":"alice","grace":1.5,"kill_mode":"main","leftovers":"keep","unique":true})");
    check_round_trip<OneProcess>(R"({"process":"foo"})");
    check_round_trip<ManyProcesses>(R"({"processes":[1,"foo"]})");
    check_round_trip<ProcessesResult>(R"({"processes":[)" + k_process + "]}");
    check_round_trip<ListParams>(
        R"({"name":"P*","owner":"procd","daemon":false,"alive":true,"fields":["id"]})");
    check_round_trip<ListResult>(R"({"processes":[)" + k_process + R"(],"seq":9})");
    check_round_trip<RenameParams>(R"({"process":1,"name":"x"})");
    check_round_trip<SetParams>(R"({"process":1,"daemon":true,"owner":"procd"})");
    check_round_trip<WaitParams>(R"({"processes":[1],"mode":"any","timeout":0.0})");
    check_round_trip<WaitResult>(R"({"processes":[],"timed_out":true})");
    check_round_trip<TerminateParams>(R"({"processes":[1],"grace":2.0,"wait":true})");
    check_round_trip<InterruptParams>(R"({"processes":[1],"tree":true})");
    check_round_trip<SignalParams>(R"({"processes":[1],"signal":15,"tree":false})");
    check_round_trip<CloseResult>(R"({"closed":[1,2]})");
    check_round_trip<SentinelResult>(R"({"fd":0})");
    check_round_trip<SessionParams>(R"({"name":"ci","stdio":{"stdout":{"fd":0}}})");
    check_round_trip<SessionResult>(R"({"session":"s7"})");
    check_round_trip<SessionEndParams>(R"({"session":"s7"})");
    check_round_trip<SubscribeParams>(R"({"since":4})");
    check_round_trip<SubscribeResult>(R"({"processes":[],"seq":4})");
    check_round_trip<EventParams>(R"({"seq":1,"time":"t","type":"closed","process":)" + k_process + "}");
    check_round_trip<ShutdownParams>(R"({"wait":true,"now":false})");
}

TEST_CASE("a process object has every member always, null where there is nothing") {
    const OrderedJson empty = encode(ProcessObject{});
    CHECK(keys(empty) == std::set<std::string>(process_field_names().begin(), process_field_names().end()));
    for (const char* key : {"pid", "exitcode", "result", "started", "ended", "uptime", "log"})
        CHECK(empty[key].is_null());
    CHECK(keys(empty["owner"]) == std::set<std::string>{"kind", "process", "session", "pid", "comm", "was"});
    const OrderedJson full = OrderedJson::parse(k_process);
    CHECK(keys(full["result"]) ==
          std::set<std::string>{"how", "code", "signal", "core", "cause", "leftovers"});
}

TEST_CASE("a process view has only the members that were asked for, in the order of the object") {
    ProcessView view;
    view.process.id = 3;
    view.only = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"pid", "id"});
    CHECK(dump(encode(view)) == R"({"id":3,"pid":null})");
    view.only = std::make_shared<const std::vector<std::string>>();
    CHECK(dump(encode(view)) == "{}");
}

TEST_CASE("every method is answered by the daemon, and every one that it answers is in the list") {
    std::vector<std::string> listed;
    for_each_method([&](auto method) { listed.emplace_back(decltype(method)::k_name); });
    CHECK(listed == procd::api::method_names());
    CHECK(std::set<std::string>(listed.begin(), listed.end()).size() == listed.size());
    for (const char* name :
         {"hello",    "rpc.discover", "whoami",      "create",    "start",    "spawn",     "list",   "status",
          "rename",   "set",          "wait",        "terminate", "kill",     "interrupt", "signal", "close",
          "sentinel", "session",      "session.end", "subscribe", "shutdown", "upgrade"})
        CHECK(std::find(listed.begin(), listed.end(), name) != listed.end());
}

TEST_CASE("the OpenRPC document has every method with every parameter, described") {
    const OrderedJson document = openrpc_document("1.2.3");
    CHECK(document["openrpc"] == "1.3.2");
    CHECK(document["info"]["version"] == "1.2.3");
    std::size_t index = 0;
    for_each_method([&](auto method) {
        using Method = decltype(method);
        const OrderedJson& entry = document["methods"][index++];
        CAPTURE(Method::k_name);
        CHECK(entry["name"] == Method::k_name);
        CHECK(entry["summary"] == Method::k_summary);
        CHECK(entry["paramStructure"] == "by-name");
        CHECK(entry["result"].contains("schema"));
        std::size_t parameter = 0;
        typename Method::Params params;
        Method::Params::fields(params, [&](const char* name, auto& member, const char* doc) {
            const OrderedJson& described = entry["params"][parameter++];
            CHECK(described["name"] == name);
            CHECK(described["description"] == doc);
            CHECK_FALSE(std::string_view(doc).empty());
            CHECK(described["required"] == !IsOptional<std::remove_cvref_t<decltype(member)>>::value);
            CHECK_FALSE(described["schema"].empty());
        });
        CHECK(entry["params"].size() == parameter);
    });
    CHECK(document["methods"].size() == index);
}

TEST_CASE("the OpenRPC document names every error by its kind") {
    const OrderedJson document = openrpc_document("1");
    const OrderedJson& errors = document["components"]["errors"];
    REQUIRE(errors.is_object());  // OpenRPC: a map
    CHECK(errors.size() == static_cast<std::size_t>(ErrorKind::shutting_down) + 1);
    for (const auto& [kind, error] : errors.items()) {
        CHECK(error["data"]["kind"] == kind);
        ErrorKind known{};
        REQUIRE(from_text(kind, known));
        CHECK(error["code"] == code_of(known));
    }
}
