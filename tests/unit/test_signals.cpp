#include <csignal>

#include <doctest/doctest.h>

#include "proto/signals.hpp"

using namespace procd::proto;

TEST_CASE("a signal is known by its name, with or without SIG, in either case") {
    for (const char* name : {"TERM", "SIGTERM", "term", "sigterm", "SigTerm"})
        CHECK(signal_number(name) == SIGTERM);
    CHECK(signal_number("INT") == SIGINT);
    CHECK(signal_number("KILL") == SIGKILL);
    CHECK(signal_number("IOT") == SIGABRT);
    CHECK(signal_number("POLL") == SIGIO);
}

TEST_CASE("real-time signals count from either end") {
    CHECK(signal_number("RTMIN") == SIGRTMIN);
    CHECK(signal_number("SIGRTMIN+1") == SIGRTMIN + 1);
    CHECK(signal_number("rtmax-2") == SIGRTMAX - 2);
    CHECK(signal_number("RTMAX") == SIGRTMAX);
    CHECK(signal_number("RTMIN+" + std::to_string(SIGRTMAX - SIGRTMIN)) == SIGRTMAX);
    CHECK(signal_number("RTMIN+0") == SIGRTMIN);
}

TEST_CASE("what is no signal's name is none") {
    for (const char* bad :
         {"", "SIG", "SIGSIGTERM", "TERMX", "TER", "15", "RTMIN-1", "RTMAX+1", "RTMIN+", "RTMIN+31",
          "RTMIN+-1", "RTMIN1", "RTMIN+1x", "RTMIN+99999999999", "TERM ", " TERM", "RTMID"})
        CHECK_FALSE(signal_number(bad));
}

TEST_CASE("every signal has a name that leads back to it") {
    CHECK(signal_name(SIGTERM) == "SIGTERM");
    CHECK(signal_name(SIGABRT) == "SIGABRT");
    CHECK(signal_name(SIGIO) == "SIGIO");
    CHECK(signal_name(SIGRTMIN) == "SIGRTMIN");
    CHECK(signal_name(SIGRTMIN + 1) == "SIGRTMIN+1");
    CHECK(signal_name(99) == "signal 99");
    for (int number = 1; number <= signal_highest(); ++number)
        if (number < 32 || number >= SIGRTMIN) CHECK(signal_number(signal_name(number)) == number);
}
