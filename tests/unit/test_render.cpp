#include <doctest/doctest.h>

#include "client/procctl/render.hpp"
#include "client/procctl/text.hpp"

using namespace procctl;
namespace proto = procd::proto;

namespace {

proto::ProcessObject running(std::int64_t id, const std::string& name) {
    proto::ProcessObject process;
    process.id = id;
    process.name = name;
    process.pid = 4000 + id;
    process.state = proto::State::running;
    process.alive = true;
    process.fate = "ends when procd stops";
    process.daemon = true;
    process.uptime = 3.25;
    process.command = {{"sleep"}, {"100"}};
    return process;
}

proto::ProcessObject ended(std::int64_t id, const std::string& at) {
    auto process = running(id, "e");
    process.state = proto::State::exited;
    process.alive = false;
    process.ended = at;
    process.exitcode = 1;
    return process;
}

std::vector<std::int64_t> ids(const std::vector<proto::ProcessObject>& processes) {
    std::vector<std::int64_t> all;
    for (const auto& process : processes) all.push_back(process.id);
    return all;
}

}  // namespace

TEST_CASE("what would move the cursor or turn the text is spelled out") {
    CHECK(escaped("plain äöü 测试") == "plain äöü 测试");
    CHECK(escaped("a\nb\x1b[31m\x7f") == "a\\x0ab\\x1b[31m\\x7f");
    CHECK(escaped("\u202e\u2066\u200f\u061c") == "\\u{202e}\\u{2066}\\u{200f}\\u{061c}");
    CHECK(escaped("a\u2028b\u2029c") == "a\\u{2028}b\\u{2029}c");
    CHECK(escaped("\u0085") == "\\x85");
    CHECK(escaped("\xff\xc3") == "\\xff\\xc3");
    CHECK(escaped(std::string("a\0b", 3)) == "a\\x00b");
}

TEST_CASE("width is counted in columns") {
    CHECK(display_width("abc") == 3);
    CHECK(display_width("测试") == 4);
    CHECK(display_width("e\u0301") == 1);
    CHECK(display_width("😀") == 2);
    CHECK(display_width("한글") == 4);
    CHECK(display_width("\u1112\u1161\u11ab") == 2);
    CHECK(display_width("ｆｕｌｌ") == 8);
    CHECK(display_width("é") == 1);
    CHECK(display_width("a\u200bb") == 2);
}

TEST_CASE("a cut never exceeds the columns, nor splits a wide character") {
    CHECK(cut_to("abcdef", 6) == "abcdef");
    CHECK(cut_to("abcdef", 5) == "abcd…");
    CHECK(cut_to("测试测", 5) == "测试…");
    CHECK(cut_to("测试测", 4) == "测…");
    CHECK(cut_to("abc", 1) == "…");
    CHECK(cut_to("abc", 0).empty());
}

TEST_CASE("a command is shown as it would be typed") {
    CHECK(command_text({{"sh"}, {"-c"}, {"sleep 1; echo 'x'"}}) == R"(sh -c 'sleep 1; echo '\''x'\''')");
    CHECK(command_text({{"printf"}, {""}, {"a\nb"}}) == "printf '' 'a\\x0ab'");
    CHECK(command_text({{"echo"}, {"测试"}}) == "echo 测试");
}

TEST_CASE("durations keep two units at most") {
    CHECK(duration_text(0) == "0.0s");
    CHECK(duration_text(9.97) == "9.9s");
    CHECK(duration_text(59.9) == "59s");
    CHECK(duration_text(185) == "3m05s");
    CHECK(duration_text(3600 * 4 + 60 * 12) == "4h12m");
    CHECK(duration_text(86400 * 9 + 3600 * 3) == "9d03h");
    CHECK(duration_text(-5) == "0.0s");
}

TEST_CASE("owners are named the way people know them") {
    proto::OwnerObject owner;
    CHECK(owner_text(owner) == "procd");
    owner.was = "session s7";
    CHECK(owner_text(owner) == "procd (was session s7)");
    owner.was.reset();
    owner.kind = proto::OwnerKind::session;
    owner.session = "s7";
    owner.pid = 12;
    CHECK(owner_text(owner) == "session s7");
    owner.kind = proto::OwnerKind::pid;
    owner.pid = 4100;
    owner.comm = "bash";
    CHECK(owner_text(owner) == "bash[4100]");
    owner.comm.reset();
    CHECK(owner_text(owner) == "pid 4100");
    owner.kind = proto::OwnerKind::process;
    owner.process = 3;
    CHECK(owner_text(owner) == "process 3");
    owner.kind = proto::OwnerKind::connection;
    CHECK(owner_text(owner) == "connection");
}

TEST_CASE("spawn says who owns the process and what that means") {
    auto process = running(242, "foo");
    CHECK(launched_text(process) == "foo: pid 4242; daemon of procd: ends when procd stops");
    process.daemon = false;
    process.pid.reset();
    process.fate = "runs to its own end";
    CHECK(launched_text(process) == "foo: created; owned by procd: runs to its own end");
}

TEST_CASE("the end of a process in words") {
    proto::ResultObject result;
    result.code = 3;
    CHECK(result_text(result) == "exited 3");
    result = {proto::How::signaled, std::nullopt, 15, false, proto::Cause::owner, 2};
    CHECK(result_text(result) == "killed by SIGTERM, because its owner ended; 2 left behind, ended");
}

TEST_CASE("columns stand below each other, whatever the names are") {
    auto process = running(1, "测试");
    process.exitcode = -15;
    const std::string text = table({process, running(12, "foo")}, {});
    CHECK(text ==
          "ID  NAME  PID   STATE    EXIT  DAEMON  OWNER  UPTIME  FATE                   COMMAND\n"
          "1   测试  4001  running  -15   yes     procd  3.2s    ends when procd stops  sleep 100\n"
          "12  foo   4012  running  -     yes     procd  3.2s    ends when procd stops  sleep 100\n");
}

TEST_CASE("only the state is coloured, and a cut line ends in its own colour") {
    const std::string whole = table({running(1, "x")}, {true, std::nullopt});
    CHECK(whole.find("4001  \033[32mrunning\033[0m  -") != std::string::npos);
    const std::string cut = table({running(1, "x")}, {true, 20});
    CHECK(cut == "ID  NAME  PID   STA…\n1   x     4001  \033[32mrun…\033[0m\n");
    const std::string narrow = table({running(1, "x")}, {true, 5});
    CHECK(narrow == "ID  …\n1   …\n");
}

TEST_CASE("the living and the newest that ended are kept, in their order") {
    std::vector<proto::ProcessObject> processes{ended(1, "2024-01-01T00:00:03.000000Z"), running(2, "a"),
                                                ended(3, "2024-01-01T00:00:01.000000Z"),
                                                ended(4, "2024-01-01T00:00:02.000000Z")};
    auto some = processes;
    CHECK(keep_newest_ended(some, 2) == 1);
    CHECK(ids(some) == std::vector<std::int64_t>{1, 2, 4});
    some = processes;
    CHECK(keep_newest_ended(some, 3) == 0);
    CHECK(keep_newest_ended(some, 0) == 3);
    CHECK(ids(some) == std::vector<std::int64_t>{2});
}

TEST_CASE("details are a line for each key, with a dash where there is nothing") {
    auto process = running(7, "x\u202ey");
    process.log = proto::Bytes{"/tmp/a\nb"};
    const std::string text = details(process);
    CHECK(
        text.starts_with("id: 7\nname: x\\u{202e}y\npid: 4007\nstate: running\nalive: true\nexitcode: -\n"));
    CHECK(text.ends_with("started: -\nended: -\nuptime: 3.2s\nlog: /tmp/a\\x0ab\n"));
}

TEST_CASE("an event is one line") {
    proto::EventParams event{9, "2024-01-01T00:00:00.000000Z", proto::EventType::exited, running(7, "a\tb")};
    event.process.result = proto::ResultObject{};
    event.process.result->code = 0;
    CHECK(event_line(event) == "9 2024-01-01T00:00:00.000000Z exited 7 a\\x09b: exited 0\n");
}
