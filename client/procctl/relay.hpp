#pragma once

#include <optional>
#include <span>
#include <vector>

#include "client/procctl/byte_queue.hpp"
#include "client/procctl/signals.hpp"
#include "client/procctl/stream.hpp"
#include "client/procctl/terminal.hpp"

namespace procctl {

// Carries bytes between the streams of procctl and a terminal that it made. Nothing here waits in a read or a
// write: a side that does not take its bytes holds up who sends them, and nobody else.
//
// Where stdin is a terminal it is raw for as long as this runs in the foreground; in the background it is
// left alone. Where stdin has an end, what runs in the terminal reads that as an end of file, again and
// again.
class Relay : public Attended {
  public:
    static Outcome<TerminalPair> open_pair();
    explicit Relay(TerminalPair pair);

    void begin();   // from now on the caller's terminal is raw, and its input is read
    void resize();  // as the caller's terminal was
    void pause();   // the caller's terminal is as it was before, until
    void resume();
    // What is still in the terminal goes out; then attend() ends the waiting.
    void finish();

    procd::client::Deadline prepare(std::vector<pollfd>& entries) override;
    bool attend(std::span<const pollfd> entries) override;

    // For the process that is to run in it.
    int slave() const { return pair_.slave.get(); }

  private:
    bool may_use_input();
    void read_input(bool hung_up);
    void write_input();
    void type_end_of_file();
    void read_output();
    void write_output();
    void hang_up();
    bool is_done() const;

    TerminalPair pair_;  // the slave, too: without anybody in it, the master would say nothing but EIO
    Stream in_;
    Stream out_;
    RawTerminal raw_;  // stdin
    ByteQueue typed_;  // stdin → master
    ByteQueue shown_;  // master → stdout
    bool begun_ = false;
    bool raw_now_ = false;  // when last looked
    bool input_ended_;
    procd::client::Deadline retype_;  // when the end of the input is typed again
    double retype_seconds_;
    bool discards_;                    // there is no stdout
    std::optional<std::size_t> rest_;  // once it is finishing: how much more may come
};

}  // namespace procctl
