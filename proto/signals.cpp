#include "proto/signals.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <csignal>

namespace procd::proto {
namespace {

struct Entry {
    int number;
    std::string_view name;
};

// The first name of a number is the one that is shown.
constexpr std::array k_signals{
    Entry{SIGHUP, "HUP"},       Entry{SIGINT, "INT"},   Entry{SIGQUIT, "QUIT"},     Entry{SIGILL, "ILL"},
    Entry{SIGTRAP, "TRAP"},     Entry{SIGABRT, "ABRT"}, Entry{SIGIOT, "IOT"},       Entry{SIGBUS, "BUS"},
    Entry{SIGFPE, "FPE"},       Entry{SIGKILL, "KILL"}, Entry{SIGUSR1, "USR1"},     Entry{SIGSEGV, "SEGV"},
    Entry{SIGUSR2, "USR2"},     Entry{SIGPIPE, "PIPE"}, Entry{SIGALRM, "ALRM"},     Entry{SIGTERM, "TERM"},
    Entry{SIGSTKFLT, "STKFLT"}, Entry{SIGCHLD, "CHLD"}, Entry{SIGCONT, "CONT"},     Entry{SIGSTOP, "STOP"},
    Entry{SIGTSTP, "TSTP"},     Entry{SIGTTIN, "TTIN"}, Entry{SIGTTOU, "TTOU"},     Entry{SIGURG, "URG"},
    Entry{SIGXCPU, "XCPU"},     Entry{SIGXFSZ, "XFSZ"}, Entry{SIGVTALRM, "VTALRM"}, Entry{SIGPROF, "PROF"},
    Entry{SIGWINCH, "WINCH"},   Entry{SIGIO, "IO"},     Entry{SIGPOLL, "POLL"},     Entry{SIGPWR, "PWR"},
    Entry{SIGSYS, "SYS"},
};

}  // namespace

int signal_highest() {
    return SIGRTMAX;
}

std::optional<int> signal_number(std::string_view text) {
    std::string name(text);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
    if (name.starts_with("SIG")) name.erase(0, 3);
    for (const Entry& entry : k_signals)
        if (entry.name == name) return entry.number;

    const bool from_low = name.starts_with("RTMIN");
    if (!from_low && !name.starts_with("RTMAX")) return std::nullopt;
    int offset = 0;
    if (name.size() > 5) {
        const char* const end = name.data() + name.size();
        if (name[5] != (from_low ? '+' : '-')) return std::nullopt;
        const auto [stop, error] = std::from_chars(name.data() + 6, end, offset);
        if (error != std::errc() || stop != end || offset < 0 || offset > SIGRTMAX - SIGRTMIN)
            return std::nullopt;
    }
    return from_low ? SIGRTMIN + offset : SIGRTMAX - offset;
}

std::string signal_name(int number) {
    for (const Entry& entry : k_signals)
        if (entry.number == number) return std::string("SIG").append(entry.name);
    if (number == SIGRTMIN) return "SIGRTMIN";
    if (number > SIGRTMIN && number <= SIGRTMAX) return "SIGRTMIN+" + std::to_string(number - SIGRTMIN);
    return "signal " + std::to_string(number);
}

}  // namespace procd::proto
