#include <csignal>

#include <doctest/doctest.h>

#include "tests/unit/fake_host.hpp"

using namespace procd::api;
namespace core = procd::core;

namespace {

std::vector<std::int64_t> ids(const Json& processes) {
    std::vector<std::int64_t> all;
    for (const Json& process : processes) all.push_back(process["id"].get<std::int64_t>());
    return all;
}
using Ids = std::vector<std::int64_t>;

// Connection 1 owns "a1" and "b", connection 2 owns the daemon "a2"; "a1" has ended.
struct Listing {
    Desk desk;
    Peer peer = desk.peer(1), other = desk.peer(2);
    Listing() {
        desk.spawn(peer, {{"name", "a1"}});
        desk.spawn(peer, {{"name", "b"}});
        desk.spawn(other, {{"name", "a2"}, {"daemon", true}});
        desk.ends(1, 5);
    }
    Ids list(Json params) { return ids(desk.ask(peer, "list", std::move(params))["processes"]); }
};

}  // namespace

TEST_CASE_FIXTURE(Listing, "list filters by name, owner, daemon and alive, and all of them together") {
    CHECK(list(Json::object()) == Ids{1, 2, 3});
    CHECK(list({{"name", nullptr}}) == Ids{1, 2, 3});
    CHECK(list({{"name", "a*"}}) == Ids{1, 3});
    CHECK(list({{"name", "a"}}).empty());
    CHECK(list({{"owner", "connection"}}) == Ids{1, 2});
    CHECK(list({{"owner", "procd"}}).empty());
    CHECK(list({{"owner", {{"session", "s9"}}}}).empty());
    CHECK(list({{"owner", {{"process", 1}}}}).empty());
    CHECK(list({{"daemon", true}}) == Ids{3});
    CHECK(list({{"daemon", false}}) == Ids{1, 2});
    CHECK(list({{"alive", true}}) == Ids{2, 3});
    CHECK(list({{"alive", false}}) == Ids{1});
    CHECK(list({{"name", "a*"}, {"alive", true}, {"daemon", true}}) == Ids{3});
    CHECK(desk.refusal(peer, "list", {{"owner", "process"}}) == "bad_request");
    const Json unknown = desk.ask(peer, "list", {{"owner", {{"process", 99}}}})["error"];
    CHECK(unknown["message"] == "no such process: 99");
    CHECK(unknown["data"] == Json{{"kind", "no_such_process"}, {"missing", {99}}});
}

TEST_CASE_FIXTURE(Listing, "list gives the fields that were asked for, and knows no others") {
    const Json listed = desk.ask(peer, "list", {{"fields", {"exitcode", "id"}}, {"name", "a1"}});
    CHECK(listed["processes"] == Json::array({{{"id", 1}, {"exitcode", 5}}}));
    CHECK(desk.ask(peer, "list", {{"fields", Json::array()}})["processes"][0] == Json::object());
    CHECK(desk.complaint(peer, "list", {{"fields", {"id", "shoe"}}}) ==
          "params.fields[1]: is no member of a process object");
}

TEST_CASE("everybody sees and touches their own processes, root all") {
    Desk desk(0);
    const Peer alice = desk.peer(1, 2001), bob = desk.peer(2, 2002), root = desk.peer(3, 0);
    desk.spawn(alice, {{"name", "db"}});
    CHECK(desk.ask(bob, "list")["processes"].empty());
    for (const char* method : {"status", "start", "sentinel"})
        CHECK(desk.refusal(bob, method, {{"process", 1}}) == "no_such_process");
    for (const char* method : {"wait", "terminate", "kill", "interrupt", "close"})
        CHECK(desk.refusal(bob, method, {{"processes", {"db"}}}) == "no_such_process");
    CHECK(desk.ask(root, "status", {{"process", "db"}})["uid"] == 2001);
    CHECK(desk.host.all<core::Launch>()[0].spec->identity.uid == 2001);

    desk.spawn(root, {{"user", "alice"}, {"owner", "procd"}});
    CHECK(desk.ask(alice, "list")["processes"].size() == 2);
    CHECK(desk.refusal(alice, "spawn", {{"command", {"x"}}, {"user", "alice"}}) == "not_permitted");
    CHECK(desk.refusal(root, "spawn", {{"command", {"x"}}, {"user", "nobody-here"}}) == "bad_request");
    desk.host.strange.insert(4);
    CHECK(desk.complaint(desk.peer(4, 2001), "spawn", {{"command", {"x"}}}) ==
          "the caller is in another namespace");
}

TEST_CASE("what is missing or ambiguous is said with ids and names") {
    Desk desk;
    const Peer peer = desk.peer(1);
    for (int i = 0; i < 2; ++i) desk.spawn(peer, {{"name", "Python"}});
    const Json ambiguous = desk.ask(peer, "status", {{"process", "Python"}})["error"];
    CHECK(ambiguous["data"] == Json{{"kind", "ambiguous"}, {"candidates", {1, 2}}});
    const Json missing = desk.ask(peer, "kill", {{"processes", {1, "web", 9}}})["error"];
    CHECK(missing["data"] == Json{{"kind", "no_such_process"}, {"missing", {"web", 9}}});
    CHECK(desk.host.all<core::KillTree>().empty());
    CHECK(ids(desk.ask(peer, "terminate", {{"processes", {"Python"}}})["processes"]) == Ids{1, 2});
}

TEST_CASE("an error in a selector's owner names the place of the selector") {
    Desk desk;
    const Json selector{{"name", "db"}, {"owner", "process"}};
    CHECK(desk.complaint(desk.peer(1), "status", {{"process", selector}})
              .starts_with("params.process.owner: "));
    CHECK(desk.complaint(desk.peer(1), "kill", {{"processes", {1, selector}}})
              .starts_with("params.processes[1].owner: "));
}

TEST_CASE("create makes, start starts, and both say what is") {
    Desk desk;
    const Peer peer = desk.peer(1);
    const Json created =
        desk.ask(peer, "create", {{"command", {"x"}}, {"daemon", true}, {"cwd", "/tmp"}, {"name", ""}});
    CHECK(created["state"] == "initial");
    CHECK(created["name"] == "Process-1");
    CHECK(created["pid"].is_null());
    CHECK(created["started"].is_null());
    CHECK(created["cwd"] == "/tmp");
    CHECK(desk.host.performed.empty());
    CHECK(desk.refusal(peer, "terminate", {{"processes", {1}}}) == "not_started");
    CHECK(desk.refusal(peer, "sentinel", {{"process", 1}}) == "not_started");
    CHECK(desk.complaint(peer, "wait", {{"processes", {1}}}) == "can only join a started process");
    const int start = desk.send(peer, "start", {{"process", 1}});
    desk.runs(1);
    CHECK(desk.answer(start)["result"]["state"] == "running");
    CHECK(desk.refusal(peer, "start", {{"process", 1}}) == "already_started");
}

TEST_CASE("what cannot be created is said with the path of the parameter") {
    Desk desk;
    const Peer peer = desk.peer(1);
    const auto complaint = [&](const char* key, Json value) {
        Json params{{"command", {"x"}}};
        params[key] = std::move(value);
        return desk.complaint(peer, "spawn", params);
    };
    CHECK(complaint("command", Json::array()) == "params.command: is empty");
    CHECK(complaint("name", "7") == "params.name: a name is not all digits: that is an id");
    CHECK(complaint("name", "a\nb") == "params.name: a name has no control characters");
    CHECK(complaint("cwd", "tmp") == "params.cwd: expected an absolute path");
    CHECK(complaint("stdio", {{"stdin", "log"}}) == "params.stdio.stdin: a log cannot be read from");
    CHECK(complaint("stdio", {{"stdout", "stdout"}}) == "params.stdio.stdout: \"stdout\" is for stderr only");
    CHECK(complaint("stdio", {{"stdin", {{"file", "x"}, {"append", true}}}})
              .starts_with("params.stdio.stdin.append: "));
    CHECK(complaint("rlimits", {{"nofile", 5000}}).starts_with("params.rlimits.nofile: above"));
    CHECK(complaint("owner", "process").starts_with("params.owner: "));
    CHECK(desk.refusal(peer, "spawn", {{"command", {"x"}}, {"user", "alice"}}) == "not_permitted");
    CHECK(desk.api.core().processes().empty());
}

TEST_CASE("descriptors are named by index and land where they are asked for") {
    Desk desk;
    const Peer peer = desk.peer(1);
    const std::vector<core::ResourcePtr> given{descriptor("a"), descriptor("b"), descriptor("unused")};
    desk.spawn(
        peer,
        {{"fds", {1, 0, 1}}, {"terminal", 0}, {"stdio", {{"stdout", {{"fd", 1}}}, {"stderr", "stdout"}}}},
        given);
    const auto spec = desk.host.all<core::Launch>()[0].spec;
    REQUIRE(spec->descriptors.size() == 3);
    CHECK(text(spec->descriptors[0]) == "b");
    CHECK(text(spec->descriptors[1]) == "a");
    CHECK(text(spec->descriptors[2]) == "b");
    CHECK(text(std::get<core::ToDescriptor>(spec->stdio[1]).descriptor) == "b");
    CHECK(std::holds_alternative<core::ToStdout>(spec->stdio[2]));
    CHECK(text(spec->terminal) == "a");
    CHECK(given[2].use_count() == 1);  // nobody holds what nobody named
}

TEST_CASE("an index out of range is an error, wherever it stands") {
    Desk desk;
    const Peer peer = desk.peer(1);
    const std::vector<core::ResourcePtr> given{descriptor("a")};
    const auto complaint = [&](Json params) {
        params["command"] = {"x"};
        return desk.complaint(peer, "spawn", params, given);
    };
    CHECK(complaint({{"fds", {0, 1}}}) == "params.fds[1]: no descriptor 1 came with the request");
    CHECK(complaint({{"fds", {-1}}}).starts_with("params.fds[0]: "));
    CHECK(complaint({{"terminal", 1}}) == "params.terminal: no descriptor 1 came with the request");
    CHECK(complaint({{"terminal", -1}}).starts_with("params.terminal: "));
    CHECK(complaint({{"stdio", {{"stderr", {{"fd", 7}}}}}})
              .starts_with("params.stdio.stderr.fd: no descriptor 7"));
    CHECK(complaint({{"owner", {{"pidfd", 1}}}}).starts_with("params.owner.pidfd: no descriptor 1"));
    CHECK(complaint({{"owner", {{"pidfd", 0}}}}) == "params.owner.pidfd: is no pidfd");
    CHECK(desk.complaint(peer, "session", {{"stdio", {{"stdout", {{"fd", 1}}}}}}, given)
              .starts_with("params.stdio.stdout.fd: "));
    CHECK(desk.api.core().processes().empty());
}

TEST_CASE("streams that are not named are the session's, the owning process's, or a log") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.ask(peer, "session", {{"stdio", {{"stdout", {{"fd", 0}}}}}}, {descriptor("tty")});
    desk.spawn(peer, {{"owner", {{"session", "s1"}}}});
    desk.spawn(peer);
    desk.host.inside[2] = 2;
    desk.spawn(desk.peer(2), {{"owner", "process"}});
    const auto launches = desk.host.all<core::Launch>();
    CHECK(text(std::get<core::ToDescriptor>(launches[0].spec->stdio[1]).descriptor) == "tty");
    CHECK(std::holds_alternative<core::ToLog>(launches[0].spec->stdio[2]));
    CHECK(std::holds_alternative<core::ToNull>(launches[1].spec->stdio[0]));
    CHECK(std::holds_alternative<core::ToLog>(launches[1].spec->stdio[1]));
    CHECK(std::holds_alternative<core::ToOwners>(launches[2].spec->stdio[1]));
    CHECK(launches[2].owner == core::OwnerKey{core::OwnerKind::process, 2});
}

TEST_CASE("an owner that is gone or another user's is no owner") {
    Desk desk(0);
    const Peer alice = desk.peer(1, 2001), bob = desk.peer(2, 2002);
    desk.ask(alice, "session");
    const auto refusal = [&](Json owner) {
        return desk.refusal(bob, "spawn", {{"command", {"x"}}, {"owner", std::move(owner)}});
    };
    CHECK(refusal({{"session", "s1"}}) == "not_permitted");
    CHECK(refusal({{"session", "s2"}}) == "owner_gone");
    CHECK(refusal({{"session", "x"}}) == "owner_gone");
    CHECK(refusal({{"process", 9}}) == "owner_gone");
    CHECK(refusal({{"pid", 500}}) == "owner_gone");
    desk.host.pids[500] = 2001;
    CHECK(refusal({{"pid", 500}}) == "not_permitted");
    CHECK(desk.host.forgotten == std::vector<std::uint64_t>{5000});  // nothing came of that watch
    desk.host.pids[501] = 2002;
    CHECK(desk.spawn(bob, {{"owner", {{"pid", 501}}}})["owner"]["comm"] == "watched");
    desk.host.gone.insert(2);
    CHECK(refusal("connection") == "owner_gone");
    CHECK(desk.refusal(bob, "session") == "owner_gone");
}

TEST_CASE("set changes both or neither") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.ask(peer, "create", {{"command", {"x"}}});
    const auto now = [&] { return desk.ask(peer, "status", {{"process", 1}}); };
    CHECK(desk.refusal(peer, "set", {{"process", 1}, {"daemon", true}, {"owner", {{"session", "s9"}}}}) ==
          "owner_gone");
    CHECK(now()["daemon"] == false);
    const Json changed = desk.ask(peer, "set", {{"process", 1}, {"daemon", true}, {"owner", "procd"}});
    CHECK(changed["daemon"] == true);
    CHECK(changed["owner"]["kind"] == "procd");
    desk.send(peer, "start", {{"process", 1}});
    desk.runs(1);
    CHECK(desk.complaint(peer, "set", {{"process", 1}, {"daemon", false}, {"owner", "connection"}}) ==
          "process has already started");
    CHECK(now()["owner"]["kind"] == "procd");
}

TEST_CASE("rename, close, sentinel and status") {
    Desk desk;
    const Peer peer = desk.peer(1);
    desk.spawn(peer);
    CHECK(desk.ask(peer, "rename", {{"process", 1}, {"name", "new"}})["name"] == "new");
    CHECK(desk.complaint(peer, "rename", {{"process", 1}, {"name", ""}}) == "params.name: is empty");
    CHECK(desk.refusal(peer, "close", {{"processes", {1}}}) == "still_running");
    const int sentinel = desk.send(peer, "sentinel", {{"process", 1}});
    CHECK(desk.answer(sentinel)["result"] == Json{{"fd", 0}});
    CHECK(text(desk.host.sent.back().descriptor) == "sentinel of 1");
    desk.host.no_pidfd_to_be_had = true;
    CHECK(desk.refusal(peer, "sentinel", {{"process", 1}}) == "limit");
    desk.ask(peer, "status", {{"process", 1}});
    CHECK(desk.host.refreshed == std::vector<core::ProcessId>{1});
    desk.ends(1, 7);
    const Json ended = desk.ask(peer, "status", {{"process", "new"}});
    CHECK(ended["exitcode"] == 7);
    CHECK(ended["result"] == Json{{"how", "exited"},
                                  {"code", 7},
                                  {"signal", nullptr},
                                  {"core", false},
                                  {"cause", "self"},
                                  {"leftovers", 0}});
    CHECK(desk.ask(peer, "close", {{"processes", {1}}}) == Json{{"closed", {1}}});
    CHECK(desk.refusal(peer, "status", {{"process", 1}}) == "no_such_process");
}

TEST_CASE("a start that fails over the file of a stream names the file") {
    Desk desk;
    const Peer peer = desk.peer(1);
    const Json params{{"command", {"cat"}},
                      {"stdio", {{"stdin", {{"file", "in.txt"}}}, {"stdout", {{"file", "/out/there"}}}}}};
    const auto message_of = [&](const std::string& stage) {
        const int id = desk.send(peer, "spawn", params);
        desk.api.happened(core::LaunchFailed{desk.newest(), {stage, 2, false}});
        const Json error = desk.answer(id)["error"];
        CHECK(error["data"]["stage"] == stage);
        return error["message"].get<std::string>();
    };
    CHECK(message_of("open stdin") == "cannot start Process-1: open stdin in.txt: No such file or directory");
    CHECK(message_of("open stdout") ==
          "cannot start Process-2: open stdout /out/there: No such file or directory");
    CHECK(message_of("exec") == "cannot start Process-3: exec cat: No such file or directory");
    const Json made = desk.ask(peer, "create", params);
    const int start = desk.send(peer, "start", {{"process", made["id"]}});
    desk.api.happened(core::LaunchFailed{made["id"], {"open stdin", 13, false}});
    CHECK(desk.answer(start)["error"]["message"] ==
          "cannot start Process-4: open stdin in.txt: Permission denied");
}

TEST_CASE("a user's signal goes to whom kill(2) would let him signal") {
    Desk desk(0);
    const Peer alice = desk.peer(1, 1001), root = desk.peer(2, 0);
    desk.spawn(alice);
    REQUIRE(desk.refusal(alice, "signal", {{"processes", {1}}, {"signal", "USR1"}}) == "none");
    desk.host.became_another.insert(1);
    CHECK(desk.refusal(alice, "signal", {{"processes", {1}}, {"signal", "USR1"}}) == "not_permitted");
    CHECK(desk.refusal(alice, "interrupt", {{"processes", {1}}}) == "not_permitted");
    // Who of the tree may be signalled is found when it is.
    CHECK(desk.refusal(alice, "interrupt", {{"processes", {1}}, {"tree", true}}) == "none");
    CHECK(desk.refusal(root, "interrupt", {{"processes", {1}}}) == "none");
    CHECK(desk.refusal(alice, "terminate", {{"processes", {1}}}) == "none");
    const auto sent = desk.host.all<core::SendSignal>();
    REQUIRE(sent.size() == 4);
    CHECK(sent[0].sender == 1001);
    CHECK(sent[1].sender == 1001);
    CHECK_FALSE(sent[2].sender);
    CHECK_FALSE(sent[3].sender);
}

TEST_CASE("answers that come later are on their user's account") {
    core::Config config;
    config.max_record_bytes = 64 * 1024;
    Desk desk(0, config);
    const Peer alice = desk.peer(1, 1001);
    desk.spawn(alice, {{"name", "x"}});
    const std::string long_id(10'000, 'i');
    const auto wait = [&] {
        desk.line(alice,
                  Json{{"id", long_id}, {"method", "wait"}, {"params", {{"processes", {"x"}}}}}.dump());
        return Json::parse(desk.host.sent.back().line).contains("error");
    };
    int waits = 0;
    while (!wait()) REQUIRE(++waits < 100);
    CHECK(waits >= 4);
    CHECK(Json::parse(desk.host.sent.back().line)["error"]["data"]["kind"] == "limit");
    CHECK(desk.refusal(alice, "terminate", {{"processes", {"x"}}}) == "none");
    desk.ends(1);
    CHECK(desk.host.sent.size() > static_cast<std::size_t>(waits));
    CHECK(desk.refusal(alice, "wait", {{"processes", {"x"}}}) == "none");
}
