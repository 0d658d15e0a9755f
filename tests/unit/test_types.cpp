#include <csignal>

#include <doctest/doctest.h>

#include "proto/messages.hpp"
#include "tests/unit/wire.hpp"

using namespace procd::proto;

TEST_CASE("bytes are a string where they are UTF-8, else base64") {
    CHECK(decoded<Bytes>(R"("测试")") == R"("测试")");
    CHECK(decoded<Bytes>(R"("")") == R"("")");
    CHECK(decoded<Bytes>(R"({"base64":"//4="})") == R"({"base64":"//4="})");
    CHECK(decoded<Bytes>(R"({"base64":"Zm9v"})") == R"("foo")");
    CHECK(decoded<Bytes>(R"({"base64":"Zm9"})") == "ERROR params: is not base64 (RFC 4648)");
    CHECK(decoded<Bytes>(R"("a\u0000b")") == "ERROR params: has a NUL in it");
    CHECK(decoded<Bytes>(R"({"base64":"AA=="})") == "ERROR params: has a NUL in it");
    for (const char* bad :
         {"1", "null", "[]", "{}", R"({"base64":1})", R"({"base46":"Zm9v"})", R"({"base64":"","x":1})"})
        CHECK(decoded<Bytes>(bad) == "ERROR params: expected a string or {\"base64\": \"…\"}");
}

TEST_CASE("what is UTF-8 and what is not") {
    for (const char* good :
         {"", "a", "é", "测", "😀", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\U0010ffff"})
        CHECK(is_utf8(good));
    for (const char* bad :
         {"\x80", "\xff", "\xc3", "a\xc3", "\xc3(", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xe0\x9f\xbf",
          "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80",
          "\xf8\x88\x80\x80\x80", "\xe6\xb5", "\xf0\x9f\x98"})
        CHECK_FALSE(is_utf8(bad));
}

TEST_CASE("seconds are a number from 0 on") {
    CHECK(decoded<Seconds>("0") == "0.0");
    CHECK(decoded<Seconds>("1.5") == "1.5");
    CHECK(decoded<Seconds>("1e300") == "1e+300");
    CHECK(decoded<Seconds>("-1") == "ERROR params: expected seconds, a number ≥ 0");
    CHECK(decoded<Seconds>("-0.001") == "ERROR params: expected seconds, a number ≥ 0");
    for (const char* bad : {"\"1\"", "null", "true", "[]"})
        CHECK(decoded<Seconds>(bad) == "ERROR params: expected a number");
}

TEST_CASE("a umask is octal digits") {
    CHECK(decoded<Umask>(R"("022")") == R"("022")");
    CHECK(decoded<Umask>(R"("0")") == R"("000")");
    CHECK(decoded<Umask>(R"("7")") == R"("007")");
    CHECK(decoded<Umask>(R"("0777")") == R"("777")");
    for (const char* bad : {"22", R"("")", R"("8")", R"("1000")", R"("-1")", R"("0x1")", R"("22 ")",
                            R"(" 22")", "null", R"("77777777777777777777")"})
        CHECK(decoded<Umask>(bad) == "ERROR params: expected octal digits like \"022\", at most \"777\"");
}

TEST_CASE("counts are integers from 0 on, of pieces at most 100") {
    CHECK(decoded<ByteCount>("0") == "0");
    CHECK(decoded<ByteCount>("9223372036854775807") == "9223372036854775807");
    CHECK(decoded<ByteCount>("9223372036854775808").starts_with("ERROR params: out of range"));
    CHECK(decoded<ByteCount>("-1").starts_with("ERROR params: out of range"));
    CHECK(decoded<ByteCount>("1.0") == "ERROR params: expected an integer");
    CHECK(decoded<ByteCount>("\"16M\"") == "ERROR params: expected an integer");
    CHECK(decoded<PieceCount>("100") == "100");
    CHECK(decoded<PieceCount>("101") == "ERROR params: out of range (0 to 100)");
    CHECK(decoded<PieceCount>("-1") == "ERROR params: out of range (0 to 100)");
}

TEST_CASE("a signal is a number or a name, and is sent as the number") {
    CHECK(decoded<Signal>("15") == "15");
    CHECK(decoded<Signal>(R"("TERM")") == "15");
    CHECK(decoded<Signal>(R"("SIGTERM")") == "15");
    CHECK(decoded<Signal>(R"("RTMIN+1")") == std::to_string(SIGRTMIN + 1));
    CHECK(decoded<Signal>(R"("15")") == "ERROR params: is no signal's name");
    CHECK(decoded<Signal>(R"("NOPE")") == "ERROR params: is no signal's name");
    CHECK(decoded<Signal>("0") == "ERROR params: out of range (1 to 64)");
    CHECK(decoded<Signal>("65") == "ERROR params: out of range (1 to 64)");
    CHECK(decoded<Signal>("-1") == "ERROR params: out of range (1 to 64)");
    CHECK(decoded<Signal>("1.5") == "ERROR params: expected an integer");
    CHECK(decoded<Signal>("null") == "ERROR params: expected an integer");
}

TEST_CASE("an environment is an object or an array of NAME=value") {
    CHECK(decoded<Environment>(R"({"A":"1","B":""})") == R"({"A":"1","B":""})");
    CHECK(decoded<Environment>(R"(["A=1","B==","C="])") == R"({"A":"1","B":"=","C":""})");
    CHECK(decoded<Environment>("{}") == "{}");
    CHECK(decoded<Environment>("[]") == "{}");
    CHECK(decoded<Environment>(R"(["A=1","A=2"])") == R"(["A=1","A=2"])");
    CHECK(decoded<Environment>(R"({"A":{"base64":"/w=="}})") == R"([{"base64":"QT3/"}])");
    CHECK(decoded<Environment>(R"([{"base64":"QT3/"}])") == R"([{"base64":"QT3/"}])");
    CHECK(decoded<Environment>(R"({"A":1})").starts_with("ERROR params.A: expected a string"));
    CHECK(decoded<Environment>(R"({"A":"x\u0000"})") == "ERROR params.A: has a NUL in it");
    CHECK(decoded<Environment>(R"({"A=B":"x"})").starts_with("ERROR params: a variable's name"));
    CHECK(decoded<Environment>(R"({"":"x"})").starts_with("ERROR params: a variable's name"));
    CHECK(decoded<Environment>(R"({"A\u0000":"x"})").starts_with("ERROR params: a variable's name"));
    CHECK(decoded<Environment>(R"(["A=1","A"])") == "ERROR params[1]: expected \"NAME=value\"");
    CHECK(decoded<Environment>(R"(["=1"])") == "ERROR params[0]: expected \"NAME=value\"");
    CHECK(decoded<Environment>(R"("A=1")").starts_with("ERROR params: expected an object, or an array"));
}

TEST_CASE("resource limits are a value, or soft and hard") {
    CHECK(decoded<ResourceLimits>(R"({"nofile":[1024,4096]})") == R"({"nofile":[1024,4096]})");
    CHECK(decoded<ResourceLimits>(R"({"nofile":7,"core":"unlimited"})") ==
          R"({"core":["unlimited","unlimited"],"nofile":[7,7]})");
    CHECK(decoded<ResourceLimits>(R"({"cpu":[0,"unlimited"]})") == R"({"cpu":[0,"unlimited"]})");
    CHECK(decoded<ResourceLimits>("{}") == "{}");
    CHECK(decoded<ResourceLimits>(R"({"files":1})") == "ERROR params.files: is no resource limit");
    CHECK(decoded<ResourceLimits>(R"({"NOFILE":1})") == "ERROR params.NOFILE: is no resource limit");
    CHECK(decoded<ResourceLimits>(R"({"nofile":[1]})") == "ERROR params.nofile: expected [soft, hard]");
    CHECK(decoded<ResourceLimits>(R"({"nofile":[1,2,3]})") == "ERROR params.nofile: expected [soft, hard]");
    CHECK(decoded<ResourceLimits>(R"({"nofile":[2,1]})") ==
          "ERROR params.nofile: the soft limit is above the hard one");
    CHECK(decoded<ResourceLimits>(R"({"nofile":["unlimited",1]})") ==
          "ERROR params.nofile: the soft limit is above the hard one");
    CHECK(decoded<ResourceLimits>(R"({"nofile":[1,"x"]})") ==
          "ERROR params.nofile[1]: expected an integer ≥ 0 or \"unlimited\"");
    CHECK(decoded<ResourceLimits>(R"({"nofile":-1})").starts_with("ERROR params.nofile: out of range"));
    CHECK(
        decoded<ResourceLimits>(R"({"nofile":1.5})").starts_with("ERROR params.nofile: expected an integer"));
    CHECK(decoded<ResourceLimits>("[]") == "ERROR params: expected an object");
}

TEST_CASE("a stream goes to null, a log, stdout, a descriptor or a file") {
    for (const char* good : {R"("null")", R"("log")", R"("stdout")", R"({"fd":0})", R"({"file":"out.txt"})",
                             R"({"file":"/x","append":true})", R"({"file":{"base64":"/w=="}})"})
        CHECK(decoded<StdioTarget>(good) == good);
    CHECK(decoded<StdioTarget>(R"({"file":"x","append":false})") == R"({"file":"x"})");
    CHECK(decoded<StdioTarget>(R"({"file":"x","append":null})") == R"({"file":"x"})");
    for (const char* bad :
         {R"("stderr")", R"("")", "1", "null", "[]", "{}", R"({"append":true})", R"({"fd":1,"file":"x"})"})
        CHECK(decoded<StdioTarget>(bad).starts_with("ERROR params: expected \"null\", \"log\""));
    CHECK(decoded<StdioTarget>(R"({"fd":-1})").starts_with("ERROR params.fd: out of range"));
    CHECK(decoded<StdioTarget>(R"({"fd":"0"})") == "ERROR params.fd: expected an integer");
    CHECK(decoded<StdioTarget>(R"({"fd":0,"append":true})") == "ERROR params.append: unknown parameter");
    CHECK(decoded<StdioTarget>(R"({"file":""})") == "ERROR params.file: is empty");
    CHECK(decoded<StdioTarget>(R"({"file":"x","append":1})") ==
          "ERROR params.append: expected true or false");
    CHECK(decoded<StdioTarget>(R"({"file":"x","mode":1})") == "ERROR params.mode: unknown parameter");
}

TEST_CASE("the error of a nested parameter has its whole path") {
    const auto error = [](const char* stdio) {
        return decoded_params<CreateParams>(std::string(R"({"command":["x"],"stdio":)") + stdio + "}");
    };
    CHECK(error(R"({"stdout":{"fd":"x"}})") == "ERROR params.stdio.stdout.fd: expected an integer");
    CHECK(error(R"({"stdout":{"file":7}})").starts_with("ERROR params.stdio.stdout.file: expected a string"));
    CHECK(error(R"({"out":"log"})") == "ERROR params.stdio.out: unknown parameter");
    CHECK(error("[]") == "ERROR params.stdio: expected an object");
    CHECK(decoded_params<CreateParams>(R"({"command":["x",7]})")
              .starts_with("ERROR params.command[1]: expected a string"));
    CHECK(decoded_params<CreateParams>(R"({"command":["x"],"fds":[0,"a"]})") ==
          "ERROR params.fds[1]: expected an integer");
    CHECK(decoded_params<CreateParams>(R"({"command":["x"],"env":{"A":7}})")
              .starts_with("ERROR params.env.A: "));
    CHECK(decoded_params<CreateParams>(R"({"command":["x"],"owner":{"pid":0}})")
              .starts_with("ERROR params.owner.pid: "));
    CHECK(decoded_params<CreateParams>(R"({"command":"x"})") == "ERROR params.command: expected an array");
    CHECK(decoded_params<CreateParams>("[]") == "ERROR params: expected an object");
    CHECK(decoded_params<WaitParams>(R"({"processes":[1,{"name":"x","owner":{"pidfd":-1}}]})")
              .starts_with("ERROR params.processes[1].owner.pidfd: out of range"));
}

TEST_CASE("an owner is a word, or an object with one member") {
    for (const char* good : {R"("connection")", R"("procd")", R"("process")", R"({"process":3})",
                             R"({"session":"s7"})", R"({"pid":1})", R"({"pidfd":0})"})
        CHECK(decoded<OwnerRef>(good) == good);
    for (const char* bad :
         {R"("session")", R"("")", "1", "null", "{}", "[]", R"({"pid":1,"process":1})", R"({"uid":1})"})
        CHECK(decoded<OwnerRef>(bad).starts_with("ERROR params: expected \"connection\""));
    CHECK(decoded<OwnerRef>(R"({"process":0})").starts_with("ERROR params.process: out of range"));
    CHECK(decoded<OwnerRef>(R"({"process":"a"})") == "ERROR params.process: expected an integer");
    CHECK(decoded<OwnerRef>(R"({"session":7})") == "ERROR params.session: expected a string");
    CHECK(decoded<OwnerRef>(R"({"pid":0})").starts_with("ERROR params.pid: out of range"));
    CHECK(decoded<OwnerRef>(R"({"pid":4294967297})").starts_with("ERROR params.pid: out of range"));
    CHECK(decoded<OwnerRef>(R"({"pidfd":-1})").starts_with("ERROR params.pidfd: out of range"));
}

TEST_CASE("a selector is an id, a name, or a name with its owner") {
    CHECK(decoded<Selector>("7") == "7");
    CHECK(decoded<Selector>(R"("7")") == R"("7")");
    CHECK(decoded<Selector>(R"("db")") == R"("db")");
    CHECK(decoded<Selector>(R"({"name":"db"})") == R"("db")");
    CHECK(decoded<Selector>(R"({"name":"db","owner":null})") == R"("db")");
    CHECK(decoded<Selector>(R"({"name":"db","owner":{"session":"s7"}})") ==
          R"({"name":"db","owner":{"session":"s7"}})");
    for (const char* bad : {"null", "true", "[]", "{}", R"({"id":7})", R"({"owner":"procd"})"})
        CHECK(decoded<Selector>(bad).starts_with("ERROR params: expected an id, a name"));
    CHECK(decoded<Selector>("0").starts_with("ERROR params: out of range"));
    CHECK(decoded<Selector>("1.5") == "ERROR params: expected an integer");
    CHECK(decoded<Selector>(R"({"name":7})") == "ERROR params.name: expected a string");
    CHECK(decoded<Selector>(R"({"name":"x","id":7})") == "ERROR params.id: unknown parameter");
    CHECK(decoded<Selector>(R"({"name":"x","owner":"me"})").starts_with("ERROR params.owner: expected"));
}

TEST_CASE("a session is called s and a number") {
    CHECK(session_text(7) == "s7");
    CHECK(session_number("s7") == 7);
    CHECK(session_number("s9223372036854775807") == 9223372036854775807);
    for (const char* bad : {"", "s", "7", "s0", "s07", "s-1", "s7x", "S7", " s7", "s9223372036854775808"})
        CHECK_FALSE(session_number(bad));
}
