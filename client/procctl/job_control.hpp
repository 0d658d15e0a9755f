#pragma once

#include <optional>
#include <string>

#include "base/unique_fd.hpp"

// Being a job of a shell: stopped by ^Z, continued by fg and bg.
namespace procctl {

// Stops this process as SIGTSTP does by default, until a SIGCONT, which it takes. SIGTSTP and SIGCONT are
// blocked before and after. False: it was not stopped, because SIGTSTP is ignored here, because nobody could
// continue it (an orphaned process group), or because the SIGCONT came first.
bool stop_as_job();

// Whether a process is stopped, which only its parent is told.
class StopWatch {
  public:
    explicit StopWatch(procd::UniqueFd pidfd) : pidfd_(std::move(pidfd)) {}

    // False also where /proc does not tell.
    bool is_stopped() const;

  private:
    procd::UniqueFd pidfd_;  // as long as the process is not reaped, its pid is its own
};

// The pid in the text of /proc/self/fdinfo/N of a pidfd; none: the process is gone, or not of this pid
// namespace.
std::optional<int> pid_of_fdinfo(const std::string& text);

}  // namespace procctl
