#include <doctest/doctest.h>

#include "client/procctl/caller.hpp"
#include "client/procctl/cli.hpp"
#include "client/procctl/exit_codes.hpp"
#include "client/procctl/inherited.hpp"
#include "client/procctl/owner_spec.hpp"
#include "client/procctl/verbs.hpp"

using namespace procctl;
using Words = std::vector<std::string>;

namespace {

Options parsed(const Words& arguments) {
    auto result = parse_command_line(arguments);
    REQUIRE_MESSAGE(std::holds_alternative<Options>(result), std::get<Answer>(result).err);
    return std::get<Options>(result);
}

Answer answered(const Words& arguments) {
    auto result = parse_command_line(arguments);
    REQUIRE(std::holds_alternative<Answer>(result));
    return std::get<Answer>(result);
}

}  // namespace

TEST_CASE("options of spawn end at the first word of the command") {
    const Options options = parsed({"spawn", "--name", "x", "--daemon", "ls", "--name", "y", "-q", "--"});
    CHECK(options.name == "x");
    CHECK(options.daemon == true);
    CHECK_FALSE(options.quiet);
    CHECK(options.words == Words{"ls", "--name", "y", "-q", "--"});
}

TEST_CASE("how output is logged is said at a launch") {
    const Options options = parsed({"create", "--log", "pipe", "--log-max", "16M", "--log-keep", "0",
                                    "--log-retain", "--stderr", "separate", "x"});
    CHECK(options.log_via == "pipe");
    CHECK(options.log_max == 16777216U);
    CHECK(options.log_keep == 0U);
    CHECK(options.log_retain);
    CHECK(options.err == "separate");
    CHECK_FALSE(parsed({"spawn", "x"}).log_max);
    for (const Words& wrong : {Words{"--log", "fax"},
                               {"--log-max", "-1"},
                               {"--log-max", "1T"},
                               {"--log-max", ""},
                               {"--log-keep", "101"},
                               {"--log-keep", "-1"},
                               {"--log-keep", "1.5"}}) {
        Words words{"spawn"};
        words.insert(words.end(), wrong.begin(), wrong.end());
        words.push_back("x");
        CHECK_MESSAGE(answered(words).status == k_usage, wrong[1]);
    }
}

TEST_CASE("the first -- ends the options, others are the command's") {
    CHECK(parsed({"run", "--", "-x", "--", "a"}).words == Words{"-x", "--", "a"});
    CHECK(parsed({"session", "--fail-on-leak", "--", "make", "--", "all"}).words ==
          Words{"make", "--", "all"});
    CHECK(parsed({"kill", "a", "--", "--wait"}).words == Words{"a", "--wait"});
}

TEST_CASE("words are taken as they stand") {
    const Words odd{"[a,b]", "", "{}", "spawn", "list", "-", "%%", "a,b"};
    Words arguments{"terminate"};
    arguments.insert(arguments.end(), odd.begin(), odd.end());
    CHECK(parsed(arguments).words == odd);
    CHECK(parsed({"spawn", "--name", "[x]", "list"}).name == "[x]");
    CHECK(parsed({"spawn", "--name", "", "list"}).name == "");
    CHECK(parsed({"spawn", "--name=", "list"}).name == "");
    CHECK(parsed({"spawn", "--name=a=b", "list"}).name == "a=b");
}

TEST_CASE("--env may be given again and takes one value each") {
    const Options options =
        parsed({"spawn", "--env", "A=1", "--env=B=", "--env", "C", "--env", "D=[x,y]", "true"});
    CHECK(options.env == Words{"A=1", "B=", "C", "D=[x,y]"});
    CHECK(options.words == Words{"true"});
}

TEST_CASE("the socket may be named before and behind the verb") {
    CHECK(parsed({"-s", "/a", "info"}).socket == "/a");
    CHECK(parsed({"info", "-s", "/b"}).socket == "/b");
    CHECK(parsed({"--socket=/c", "pid", "x"}).socket == "/c");
}

TEST_CASE("what every verb understands may stand before the verb, too") {
    for (const VerbEntry& entry : k_verbs) {
        CAPTURE(entry.name);
        Words arguments{"--json", "--timeout", "2.5", "--socket", "/a", entry.name};
        const std::string word = entry.verb == Verb::completion ? "bash" : "1";
        for (std::size_t i = 0; i < entry.least_words; ++i) arguments.push_back(word);
        if (entry.verb == Verb::set) arguments.emplace_back("--daemon");
        const Options options = parsed(arguments);
        CHECK(options.verb == entry.verb);
        CHECK(options.json);
        CHECK(options.timeout == 2.5);
        CHECK(options.socket == "/a");
        CHECK(options.words == Words(entry.least_words, word));
    }
    CHECK(parsed({"--timeout=1", "info", "--timeout", "2"}).timeout == 2.0);
    CHECK_FALSE(parsed({"info"}).json);
    CHECK(parsed({"--json", "info", "--json"}).json);
    CHECK(answered({"--timeout", "x", "info"}).status == k_usage);
}

TEST_CASE("aliases are the verbs they stand for") {
    CHECK(parsed({"ls"}).verb == Verb::list);
    CHECK(parsed({"join"}).verb == Verb::wait);
    CHECK(parsed({"stop", "x"}).verb == Verb::terminate);
    CHECK(parsed({"rm", "x"}).verb == Verb::close);
}

TEST_CASE("durations are finite and not negative") {
    CHECK(parsed({"wait", "x", "--timeout", "0"}).timeout == 0.0);
    CHECK(parsed({"wait", "x", "--timeout", "1.5e1"}).timeout == 15.0);
    for (const char* bad : {"-1", "nan", "inf", "1e999", "", "1s", "0x10", " 1"}) {
        CAPTURE(bad);
        CHECK(answered({"wait", "x", "--timeout", bad}).status == k_usage);
        CHECK(answered({"terminate", "x", "--grace", bad}).status == k_usage);
    }
}

TEST_CASE("what makes no sense is a usage error, on stderr") {
    for (const Words& arguments :
         std::initializer_list<Words>{{},
                                      {"no-such-verb"},
                                      {"kill"},
                                      {"spawn"},
                                      {"spawn", "--no-such", "true"},
                                      {"spawn", "--name"},
                                      {"spawn", "--daemon", "--no-daemon", "true"},
                                      {"spawn", "--kill-mode", "all", "true"},
                                      {"spawn", "--owner", "me", "true"},
                                      {"run", "--owner", "procd", "true"},
                                      {"signal", "HUP"},
                                      {"set", "x"},
                                      {"name", "a", "b", "c"},
                                      {"info", "x"},
                                      {"list", "--alive", "--ended"},
                                      {"wait", "--any", "--all", "x"},
                                      {"events", "--since", "-1"},
                                      {"shutdown", "--wait", "--now"},
                                      {"current", "--id", "--pid"},
                                      {"info", "--timeout", "1", "--timeout", "2"}}) {
        const std::string first = arguments.empty() ? "" : arguments.front();
        CAPTURE(first);
        const Answer answer = answered(arguments);
        CHECK(answer.status == k_usage);
        CHECK(answer.out.empty());
        CHECK_FALSE(answer.err.empty());
    }
}

TEST_CASE("a usage error is JSON where JSON was asked for") {
    const Answer answer = answered({"kill", "--json"});
    CHECK(answer.status == k_usage);
    CHECK(answer.out.starts_with(R"({"error":{"code":2,"message":"kill: SEL is missing")"));
    CHECK(answered({"--json", "kill"}).out == answer.out);
    CHECK(
        answered({"--json", "no-such-verb"}).out.starts_with(R"({"error":{"code":2,"message":"there is no)"));
    CHECK(answered({"--json"}).out.starts_with(R"({"error":{"code":2)"));
    CHECK_FALSE(parsed({"spawn", "--", "--json"}).json);
}

TEST_CASE("a name is UTF-8, the words of a command and paths are any bytes") {
    for (const Words& arguments : std::initializer_list<Words>{{"spawn", "--name", "a\xff", "true"},
                                                               {"create", "--name=\xc3", "true"},
                                                               {"run", "--name", "\xed\xa0\x80", "true"},
                                                               {"session", "--name", "\xff", "true"},
                                                               {"list", "--name", "\xff*"},
                                                               {"spawn", "--user", "\xff", "true"},
                                                               {"name", "1", "\xff"},
                                                               {"status", "\xff"},
                                                               {"alive", "\xff"},
                                                               {"kill", "1", "b\xfe"},
                                                               {"signal", "b\xfe", "HUP"}}) {
        CAPTURE(arguments[0]);
        const Answer answer = answered(arguments);
        CHECK(answer.status == k_usage);
        CHECK_MESSAGE(answer.err.find("not UTF-8") != std::string::npos, answer.err);
        CHECK_MESSAGE(answer.err.find("\\x") != std::string::npos, answer.err);
    }
    const Words bytes{"\xff", "b\xfe"};
    CHECK(parsed({"spawn", "--", "\xff", "b\xfe"}).words == bytes);
    CHECK(parsed({"spawn", "--cwd", "/\xff", "--env", "A=\xff", "--stdin", "\xff", "true"}).cwd == "/\xff");
    CHECK(parsed({"--socket", "/\xff", "info"}).socket == "/\xff");
}

TEST_CASE("help and version are answers on stdout") {
    CHECK(answered({"--help"}).out.find("spawn") != std::string::npos);
    CHECK(answered({"--version"}).out.starts_with("procctl "));
    const Answer help = answered({"spawn", "--help"});
    CHECK(help.status == k_done);
    CHECK(help.err.empty());
    CHECK(help.out.find("Not a Unix") != std::string::npos);
}

TEST_CASE("every verb has help with an example") {
    for (const VerbEntry& entry : k_verbs) {
        CAPTURE(entry.name);
        const Answer help = answered({entry.name, "--help"});
        CHECK(help.status == k_done);
        CHECK(help.out.find(std::string("Usage: procctl ") + entry.name) != std::string::npos);
        CHECK(help.out.find(std::string("Example:\n  ")) != std::string::npos);
        CHECK(help.out.find("--timeout") != std::string::npos);
    }
}

TEST_CASE("owners") {
    using Kind = OwnerSpec::Kind;
    CHECK(parse_owner("caller") == OwnerSpec{Kind::caller, 0, {}});
    CHECK(parse_owner("pid:12") == OwnerSpec{Kind::pid, 12, {}});
    CHECK(parse_owner("session") == OwnerSpec{Kind::session, 0, {}});
    CHECK(parse_owner("session:s7") == OwnerSpec{Kind::session, 0, "s7"});
    CHECK(parse_owner("process") == OwnerSpec{Kind::enclosing, 0, {}});
    CHECK(parse_owner("process:3") == OwnerSpec{Kind::process, 3, {}});
    CHECK(parse_owner("connection") == OwnerSpec{Kind::connection, 0, {}});
    CHECK(parse_owner("procd") == OwnerSpec{Kind::procd, 0, {}});
    for (const char* bad :
         {"", "pid", "pid:", "pid:0", "pid:-1", "pid:1x", "pid:99999999999", "session:", "session:\xff",
          "procd:1", "caller:1", "Process", "process:", "process:99999999999999999999"}) {
        CAPTURE(bad);
        CHECK_FALSE(parse_owner(bad));
    }
}

TEST_CASE("an inherited environment loses what speaks of the caller only") {
    const Words own{"PATH=/bin",        "NOTIFY_SOCKET=/n", "LISTEN_PID=1",    "LISTEN_FDS=1",
                    "LISTEN_FDNAMES=a", "WATCHDOG_PID=1",   "WATCHDOG_USEC=1", "FDSTORE=1",
                    "PROCD_SESSION=s1", "LISTEN_FDS_X=1",   "HOME=/h"};
    CHECK(*environment_for(own, {}, false) == Words{"PATH=/bin", "LISTEN_FDS_X=1", "HOME=/h"});
    CHECK(*environment_for(own, {"HOME=/x", "LISTEN_FDS=2", "PATH", "NOT_SET"}, false) ==
          Words{"LISTEN_FDS_X=1", "HOME=/x", "LISTEN_FDS=2", "PATH=/bin"});
}

TEST_CASE("a clean environment is procd's default, or that and what is given") {
    const Words own{"PATH=/mine", "HOME=/h", "USER=u", "SHELL=/bin/sh", "X=1"};
    CHECK_FALSE(environment_for(own, {}, true));
    CHECK(*environment_for(own, {"A=1", "X"}, true) ==
          Words{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/h", "USER=u",
                "SHELL=/bin/sh", "A=1", "X=1"});
}

TEST_CASE("the state of a process is read past any name") {
    const auto stat = parse_stat("42 (a) R (b)) S 7 1 1 0 -1 4194368 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 1");
    REQUIRE(stat);
    CHECK(*stat == ProcStat{42, 'S', 7, 4194368, 98765});
    CHECK(stat->is_bare_fork());
    CHECK_FALSE(parse_stat("42 (a) S 7 1"));
    CHECK_FALSE(parse_stat(""));
    REQUIRE(read_stat(getpid()));
    CHECK(read_stat(getpid())->parent == getppid());
}
