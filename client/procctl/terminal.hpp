#pragma once

#include <optional>
#include <sys/ioctl.h>
#include <termios.h>

#include "base/unique_fd.hpp"
#include "client/procctl/failure.hpp"

// Terminals: the one that procctl was called on, and the one that it makes for `run --pty`.
namespace procctl {

// Whether this process may read from the terminal and change it: it is in the terminal's foreground, or the
// terminal is not the one that controls its session, so that nobody counts.
bool in_foreground(int terminal);
// The terminal that controls the session of this process, or none.
procd::UniqueFd open_controlling_terminal();

// Of the first of the standard streams that is a terminal; else 24 lines of 80 columns.
winsize window_size();

// Both ends of a new terminal. Neither becomes anybody's controlling terminal by being opened.
struct TerminalPair {
    procd::UniqueFd master;  // non-blocking
    procd::UniqueFd slave;
};
// With the settings of `like`, else those the kernel gives; of the same size as our own. Without `echo`, what
// is written into it does not show up in what it shows: for what no person types.
Outcome<TerminalPair> open_terminal(std::optional<int> like, bool echo);

// A terminal whose every byte is passed on, for as long as this lives and it is in the foreground. What it
// was before, it is again after.
class RawTerminal {
  public:
    // fd: a terminal, borrowed.
    explicit RawTerminal(int fd) : fd_(fd) {}
    ~RawTerminal() { leave(); }
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    // Also when it is raw already: a shell may have changed it while this process was stopped. In the
    // foreground only.
    void enter();
    void leave();

  private:
    int fd_;
    std::optional<termios> before_;  // while it is raw
};

}  // namespace procctl
