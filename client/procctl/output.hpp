#pragma once

#include <string>
#include <string_view>

// The three standard streams. stdout is data only; everything else goes to stderr.
namespace procctl {

// Makes sure that 0, 1 and 2 are open, so that no file of ours becomes somebody's stdout; what was closed
// stays unusable. Ignores SIGPIPE: a write that fails is an error like any other.
void prepare_streams();
// Whether this standard stream was there when procctl was called.
bool stream_was_open(int fd);
// What SIGPIPE did before: children get that again.
void restore_sigpipe();

// stdout, written in one piece at the end, or by flush().
class Output {
  public:
    void line(std::string_view text) { buffer_.append(text).push_back('\n'); }
    void text(std::string_view text) { buffer_.append(text); }
    // False when stdout cannot be written (now or before); said on stderr, but for a reader who just went
    // away.
    bool flush();

  private:
    std::string buffer_;
    bool failed_ = false;
};

// One line on stderr, behind "procctl: ". The text must not hold raw foreign text: see escaped().
void complain(std::string_view text);
// One line on stderr, as it is.
void say(std::string_view text);

// For tables: columns of the terminal that stdout is, or 0.
std::size_t terminal_columns();
bool stderr_is_terminal();

}  // namespace procctl
