#include "daemon/options.hpp"

#include <cmath>
#include <limits>
#include <string_view>

#include <CLI/CLI.hpp>

#include "base/size_text.hpp"
#include "daemon/sys/log_trim.hpp"

namespace procd {

std::variant<Options, int> parse_options(int argc, char** argv) {
    Options options;
    CLI::App app(
        "procd starts processes for programs and scripts, owns them, and lets none outlive what it belongs "
        "to.\n"
        "It runs in the foreground; procctl talks to it.",
        "procd");
    app.set_version_flag("--version", "procd " PROCD_VERSION);
    const CLI::Validator seconds(
        [](std::string& text) {
            char* end = nullptr;
            const double value = std::strtod(text.c_str(), &end);
            const bool fine = end != text.c_str() && *end == '\0' && std::isfinite(value) && value >= 0;
            return fine ? std::string() : "expected seconds, a number >= 0";
        },
        "SECONDS");
    const CLI::Validator octal(
        [](std::string& text) {
            const bool fine =
                !text.empty() && text.size() <= 4 && text.find_first_not_of("01234567") == std::string::npos;
            return fine ? std::string() : "expected an octal mode like 0660";
        },
        "MODE");
    const CLI::Validator size(
        [](std::string& text) {
            return parse_size(text) ? std::string() : "expected a number of bytes like 4096, 64K, 16M or 1G";
        },
        "SIZE");
    app.add_option("-s,--socket", options.socket,
                   "Listen here. Default: systemd's, else /run/procd/procd.sock for root, "
                   "else procd/procd.sock in $XDG_RUNTIME_DIR, else in ~/.local/state");
    app.add_option("--runtime-dir", options.runtime_dir,
                   "procd's own files: the socket, without -s, and the journal. Default: the socket's "
                   "directory");
    app.add_option("--log-dir", options.log_dir,
                   "Logs of processes. Default: log in the socket's directory with -s, else "
                   "$LOGS_DIRECTORY, else log in $STATE_DIRECTORY, else /var/log/procd for root, else "
                   "procd/log in $XDG_STATE_HOME or ~/.local/state");
    app.add_option_function<std::string>(
           "--log-max", [&options](const std::string& text) { options.log_max = *parse_size(text); },
           "Size at which a log's head is cut off, where a process has no limit of its own; 0: never")
        ->check(size)
        ->default_str("16M");
    app.add_option("--log-keep", options.log_keep, "How many pieces that were cut off a log are kept")
        ->check(CLI::Range(0U, sys::k_most_pieces))
        ->capture_default_str();
    app.add_option("--containment", options.containment, "auto: cgroup where it can be, else subreaper")
        ->check(CLI::IsMember({"auto", "cgroup", "subreaper"}))
        ->capture_default_str();
    app.add_option("--cgroup", options.cgroup,
                   "Make the cgroups in this one, and not in procd's own: a directory; a relative one "
                   "begins at that of procd's own. It must be there")
        ->type_name("DIR");
    app.add_option("--drain", options.drain, "Seconds that a stopping procd waits for non-daemons")
        ->check(seconds)
        ->capture_default_str();
    app.add_option("--grace", options.grace,
                   "Seconds between SIGTERM and SIGKILL, where a process has no grace of its own")
        ->check(seconds)
        ->capture_default_str();
    app.add_option("--socket-mode", options.socket_mode, "Of the socket. Default: 0660 for root, else 0600")
        ->check(octal);
    app.add_option("--socket-group", options.socket_group,
                   "Of the socket. Default: procd for root, if there is such a group");
    app.add_option("--ready-fd", options.ready_fd,
                   "Write a newline here, and close it, when the socket answers")
        ->check(CLI::Range(0, std::numeric_limits<int>::max()));
    app.add_flag_callback(
        "--no-journal", [&options] { options.journal = false; },
        "Write no journal: should procd be killed, the next one knows nothing of what it "
        "started");
    app.add_flag("--allow-confined", options.allow_confined,
                 "As root: start processes also for callers in other namespaces or under seccomp, who get "
                 "out that way");
    app.add_option("--retain", options.retain, "Ended processes remembered of each user")
        ->capture_default_str();
    app.add_option("--max-processes", options.max_processes, "Of each user but root and procd's own")
        ->capture_default_str();
    app.add_option("--max-connections", options.max_connections, "Likewise")->capture_default_str();
    app.add_option("--max-waits", options.max_waits, "Likewise")->capture_default_str();
    app.add_option(
           "--max-descriptors", options.max_descriptors,
           "Likewise: descriptors held for sessions, for processes not started yet, and in answers not "
           "read yet")
        ->capture_default_str();
    app.add_option("--max-record-bytes", options.max_record_bytes,
                   "Likewise: memory for records, sessions and pending requests")
        ->capture_default_str();
    app.add_option(
           "--check-state", options.check_state,
           "Start nothing: say whether this procd can go on from the state in this descriptor, by its "
           "version and exit status 0, or why not and 1. What an upgrade asks first")
        ->check(CLI::Range(0, std::numeric_limits<int>::max()));
    app.add_option("--resume-state", options.resume_state)->group("");
    try {
        app.parse(argc, argv);
        if (!options.cgroup.empty()) {
            if (options.containment == "subreaper")
                throw CLI::ValidationError("--cgroup", "is of no use with --containment subreaper");
            options.containment = "cgroup";  // that place or none: nobody is quietly put elsewhere
        }
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    return options;
}

std::vector<std::string> command_line(int argc, char** argv) {
    std::vector<std::string> words;
    for (int i = 0; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--resume-state")
            ++i;
        else
            words.emplace_back(argv[i]);
    }
    return words;
}

}  // namespace procd
