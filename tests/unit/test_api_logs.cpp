#include <doctest/doctest.h>

#include "tests/unit/fake_host.hpp"

using namespace procd::api;
namespace core = procd::core;

namespace {

struct Logging {
    Desk desk;
    Peer peer = desk.peer(1);

    std::string complaint(Json log, Json stdio = Json::object()) {
        return desk.complaint(peer, "spawn",
                              {{"command", {"x"}}, {"log", std::move(log)}, {"stdio", std::move(stdio)}});
    }
    const core::LaunchSpec& launched(Json params) {
        desk.spawn(peer, std::move(params));
        return *desk.host.all<core::Launch>().back().spec;
    }
};

}  // namespace

TEST_CASE_FIXTURE(Logging, "how output is logged is passed on, and what is not said is left open") {
    const core::LogSpec none = launched({}).log;
    CHECK(none.via == core::LogVia::file);
    CHECK_FALSE(none.max);
    CHECK_FALSE(none.keep);
    CHECK_FALSE(none.retain);
    const core::LogSpec all =
        launched({{"log", {{"via", "pipe"}, {"max", 0}, {"keep", 100}, {"retain", true}}}}).log;
    CHECK(all.via == core::LogVia::pipe);
    CHECK(all.max == 0);
    CHECK(all.keep == 100);
    CHECK(all.retain);
    CHECK(launched({{"log", {{"via", "journal"}}}}).log.via == core::LogVia::journal);
}

TEST_CASE_FIXTURE(Logging, "what cannot be is refused with its path, and nothing is made") {
    CHECK(complaint({{"max", -1}}).starts_with("params.log.max: out of range (0 to "));
    CHECK(complaint({{"keep", 101}}) == "params.log.keep: out of range (0 to 100)");
    CHECK(complaint({{"via", "fax"}}) == R"(params.log.via: expected one of "file", "pipe", "journal")");
    CHECK(complaint({{"retain", 1}}) == "params.log.retain: expected true or false");
    CHECK(complaint(Json::object(), {{"stdout", "null"}, {"stderr", "stdout"}}) ==
          "params.log: neither stdout nor stderr goes to a log");
    for (const char* key : {"max", "keep"})
        CHECK(complaint({{"via", "journal"}, {key, 1}}).starts_with("params.log: the journal has limits"));
    CHECK(desk.complaint(peer, "spawn", {{"command", {"x"}}, {"stdio", {{"stdout", "separate"}}}}) ==
          "params.stdio.stdout: \"separate\" is for stderr only");
    CHECK(desk.api.core().processes().empty());
}

TEST_CASE_FIXTURE(Logging, "who says how output is logged gets a log, in a session too") {
    desk.ask(peer, "session", {{"stdio", {{"stdout", {{"fd", 0}}}, {"stderr", {{"fd", 0}}}}}},
             {std::make_shared<core::Resource>()});
    const Json session{{"session", "s1"}};
    CHECK(std::holds_alternative<core::ToDescriptor>(launched({{"owner", session}}).stdio[1]));
    const auto& spec =
        launched({{"owner", session}, {"log", {{"keep", 2}}}, {"stdio", {{"stderr", "null"}}}});
    CHECK(std::holds_alternative<core::ToLog>(spec.stdio[1]));
    CHECK(std::holds_alternative<core::ToNull>(spec.stdio[2]));
    CHECK(std::holds_alternative<core::ToOwnLog>(launched({{"stdio", {{"stderr", "separate"}}}}).stdio[2]));
}

TEST_CASE_FIXTURE(Logging, "both logs are shown, and go with the record unless they are to stay") {
    for (const bool retain : {false, true}) {
        const int spawn = desk.send(
            peer, "spawn",
            {{"command", {"x"}}, {"log", {{"retain", retain}}}, {"stdio", {{"stderr", "separate"}}}});
        const auto id = desk.host.all<core::Launch>().back().id;
        desk.api.happened(core::LaunchSucceeded{id, 4000 + id, "/log/out", "/log/err"});
        const Json process = desk.answer(spawn)["result"];
        CHECK(process["log"] == "/log/out");
        CHECK(process["log_stderr"] == "/log/err");
        desk.ends(id, 0);
        desk.ask(peer, "close", {{"processes", {id}}});
        const auto forget = desk.host.all<core::Forget>().back();
        CHECK(forget.id == id);
        CHECK(forget.log == (retain ? "" : "/log/out"));
        CHECK(forget.log_stderr == (retain ? "" : "/log/err"));
    }
}
