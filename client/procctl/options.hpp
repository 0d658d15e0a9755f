#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace procctl {

enum class Verb {
    spawn,
    create,
    run,
    session,
    start,
    list,
    status,
    pid,
    name,
    set,
    alive,
    exitcode,
    wait,
    terminate,
    kill,
    interrupt,
    signal,
    logs,
    events,
    close,
    current,
    info,
    shutdown,
    upgrade,
    completion,
};

// A command line that made sense. One struct for all verbs: most options mean the same wherever they are.
struct Options {
    Verb verb = Verb::status;
    std::vector<std::string>
        words;  // beside the options: processes, a new name, or a command and its arguments

    std::optional<std::string> socket;
    bool json = false;
    bool quiet = false;
    std::optional<double> timeout;

    std::optional<std::string> name;
    std::optional<std::string> owner;
    std::optional<bool> daemon;
    std::optional<double> grace;

    // spawn, create, run
    std::optional<std::string> cwd, in, out, err, user, kill_mode, leftovers;
    std::vector<std::string> env;
    bool clean_env = false;
    bool unique = false;
    bool pty = false;  // run
    std::optional<std::string> log_via;
    std::optional<std::uint64_t> log_max;
    std::optional<unsigned> log_keep;
    bool log_retain = false;

    // list, status
    bool all = false;
    std::optional<bool> alive;

    bool any = false;                   // wait
    bool wait = false;                  // terminate, kill, shutdown
    bool now = false;                   // shutdown
    std::optional<std::string> binary;  // upgrade
    bool tree = false;                  // interrupt, signal
    bool fail_on_leak = false;          // session
    std::optional<std::int64_t> since;  // events
    std::optional<std::int64_t> lines;  // logs
    bool follow = false;                // logs
    bool err_log = false;               // logs: that of stderr
    enum class Current { id, name, pid } current = Current::id;
};

}  // namespace procctl
