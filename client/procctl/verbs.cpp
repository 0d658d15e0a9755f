#include "client/procctl/verbs.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include <CLI/CLI.hpp>

#include "base/size_text.hpp"
#include "client/procctl/owner_spec.hpp"
#include "proto/enums.hpp"
#include "proto/types.hpp"

namespace procctl {
namespace {

namespace proto = procd::proto;
using CLI::App;

constexpr std::size_t k_any_number = std::numeric_limits<std::size_t>::max();

constexpr const char* k_daemon_help =
    "Python's sense: ended when its owner ends, however that ends. Not a Unix daemon: 'outlives me' is what "
    "you get "
    "without this flag";
constexpr const char* k_no_daemon_help =
    "Not ended with its owner, even where the enclosing process is a daemon";

// ---- kinds of options -------------------------------------------------------------------------------------

CLI::Option* text(App& app, const char* name, std::optional<std::string>& out, const char* type,
                  const std::string& help) {
    return app
        .add_option_function<std::string>(
            name, [&out](const std::string& value) { out = value; }, help)
        ->type_name(type);
}

// A text that travels as a JSON string, which bytes that are not UTF-8 would not survive: all would be one
// name.
CLI::Option* utf8_text(App& app, const char* name, std::optional<std::string>& out, const char* type,
                       const std::string& help) {
    const auto read = [&out, name](const std::string& value) {
        if (!proto::is_utf8(value)) throw CLI::ValidationError(name, "'" + value + "' is not UTF-8");
        out = value;
    };
    return app.add_option_function<std::string>(name, read, help)->type_name(type);
}

CLI::Option* flag(App& app, const char* name, bool& out, const char* help) {
    return app.add_flag_callback(
        name, [&out] { out = true; }, help);
}

void seconds(App& app, const char* name, std::optional<double>& out, const char* help) {
    const auto read = [&out, name](const std::string& value) {
        double number = 0;
        const char* const end = value.data() + value.size();
        const auto [stop, error] = std::from_chars(value.data(), end, number);
        if (error != std::errc() || stop != end || !std::isfinite(number) || number < 0)
            throw CLI::ValidationError(name, "expected seconds, a number of at least 0, not '" + value + "'");
        out = number;
    };
    app.add_option_function<std::string>(name, read, help)->type_name("S");
}

void either(App& app, std::optional<bool>& out, const char* yes, const char* yes_help, const char* no,
            const char* no_help) {
    auto* const first = app.add_flag_callback(
        yes, [&out] { out = true; }, yes_help);
    auto* const second = app.add_flag_callback(
        no, [&out] { out = false; }, no_help);
    first->excludes(second);
}

template <proto::WireEnum E>
void one_of(App& app, const char* name, std::optional<std::string>& out, const char* type, const char* help) {
    const auto read = [&out, name, type](const std::string& value) {
        if (!proto::enum_value<E>(value))
            throw CLI::ValidationError(name, "expected " + std::string(type) + ", not '" + value + "'");
        out = value;
    };
    app.add_option_function<std::string>(name, read, help)->type_name(type);
}

void owner(App& app, Options& options, const char* help) {
    const auto read = [&options](const std::string& value) {
        if (!parse_owner(value))
            throw CLI::ValidationError("--owner",
                                       std::string("expected ") + k_owner_forms + ", not '" + value + "'");
        options.owner = value;
    };
    app.add_option_function<std::string>("--owner", read, help)->type_name("OWNER");
}

void scope(App& app, Options& options) {
    owner(app, options,
          "Look for a name among this owner's processes first (default: those of where procctl runs)");
}

// ---- what each verb takes ---------------------------------------------------------------------------------

void log_options(App& app, Options& options) {
    one_of<proto::LogVia>(app, "--log", options.log_via, "file|pipe|journal",
                          "How its output is logged: it writes a file itself (default); by a pipe that procd "
                          "copies from, for programs that open /dev/stderr anew; the system's journal");
    const auto read_size = [&options](const std::string& value) {
        options.log_max = procd::parse_size(value);
        if (!options.log_max)
            throw CLI::ValidationError(
                "--log-max", "expected a number of bytes like 4096, 64K, 16M or 1G, not '" + value + "'");
    };
    app.add_option_function<std::string>(
           "--log-max", read_size,
           "Cut the head of its log off at this size; 0: never (default: procd's, 16M)")
        ->type_name("SIZE");
    const auto read_keep = [&options](const unsigned& value) { options.log_keep = value; };
    app.add_option_function<unsigned>("--log-keep", read_keep,
                                      "How many pieces that were cut off are kept (default: procd's, 1)")
        ->check(CLI::Range(0U, proto::PieceCount::k_most))
        ->type_name("N");
    flag(app, "--log-retain", options.log_retain, "Its log stays when it is forgotten");
}

void launch_options(App& app, Options& options) {
    utf8_text(app, "--name", options.name, "NAME", "Its name; need not be unique (default: Process-N)");
    either(app, options.daemon, "--daemon", k_daemon_help, "--no-daemon", k_no_daemon_help);
    text(app, "--cwd", options.cwd, "DIR", "Its working directory (default: this one)");
    app.add_option("--env", options.env, "Set a variable; without a value, the caller's. May be given again")
        ->type_name("K=V")
        ->allow_extra_args(false);
    flag(app, "--clean-env", options.clean_env,
         "Do not pass on the caller's environment: PATH, HOME and the like, and --env");
    seconds(app, "--grace", options.grace,
            "How long it has between SIGTERM and SIGKILL (default: procd's, 10)");
    one_of<proto::KillMode>(app, "--kill-mode", options.kill_mode, "group|main",
                            "Who gets the SIGTERM (default: group, all of its tree)");
    one_of<proto::Leftovers>(app, "--leftovers", options.leftovers, "end|keep",
                             "What becomes of what it leaves behind when it ends by itself (default: end)");
    flag(app, "--unique", options.unique, "Refuse while a live process of the same owner has the name");
    text(app, "--stdin", options.in, "FILE|null", "Its standard input; a file is relative to --cwd");
    text(app, "--stdout", options.out, "FILE|null|log", "Its standard output");
    text(app, "--stderr", options.err, "FILE|null|log|stdout|separate",
         "Its standard error; separate: a log of its own");
    log_options(app, options);
    utf8_text(app, "--user", options.user, "USER", "Run as this user (root only)");
}

void spawn(App& app, Options& options) {
    launch_options(app, options);
    owner(app, options,
          "Whose end decides its fate: caller, pid:N, session[:ID], connection, procd, process[:ID]; default "
          "$PROCD_OWNER, else the process or session that procctl runs in, else procd");
    flag(app, "-q,--quiet", options.quiet, "No sentence on stderr");
}

void run(App& app, Options& options) {
    launch_options(app, options);
    flag(app, "-t,--pty", options.pty,
         "Give it a terminal of its own, which it controls: for editors, shells and whatever else asks for "
         "one");
}

void session(App& app, Options& options) {
    utf8_text(app, "--name", options.name, "NAME", "For people; shown beside the session");
    flag(app, "--fail-on-leak", options.fail_on_leak,
         "When CMD ends, end what it left behind instead of waiting for it, name each, and exit 1");
}

void listing(App& app, Options& options) {
    flag(app, "-a,--all", options.all, "All that ended, not only the newest 10");
}

void list(App& app, Options& options) {
    listing(app, options);
    utf8_text(app, "--name", options.name, "GLOB", "Only names that match (*, ?, [a-z])");
    owner(app, options, "Only those of this owner");
    either(app, options.daemon, "--daemon", "Only daemons", "--no-daemon", "Only others");
    either(app, options.alive, "--alive", "Only the living", "--ended", "Only the others");
}

void status(App& app, Options& options) {
    listing(app, options);
    scope(app, options);
}

void set(App& app, Options& options) {
    either(app, options.daemon, "--daemon", k_daemon_help, "--no-daemon", k_no_daemon_help);
    owner(app, options, "Its new owner");
}

void wait(App& app, Options& options) {
    auto* const any = flag(app, "--any", options.any, "Until one of them has ended");
    app.add_flag_callback(
           "--all", [] {}, "Until all have ended (the default)")
        ->excludes(any);
    scope(app, options);
}

void terminate(App& app, Options& options) {
    flag(app, "--wait", options.wait, "Return when their trees are gone");
    seconds(app, "--grace", options.grace, "Until SIGKILL; may shorten a running grace, never lengthens it");
    scope(app, options);
}

void kill(App& app, Options& options) {
    flag(app, "--wait", options.wait, "Return when their trees are gone");
    scope(app, options);
}

void signal(App& app, Options& options) {
    flag(app, "--tree", options.tree, "To the whole tree, not to the main process alone");
    scope(app, options);
}

void logs(App& app, Options& options) {
    const auto read = [&options](const std::string& value) {
        if (value.empty() || value.find_first_not_of("0123456789") != std::string::npos)
            throw CLI::ValidationError("--lines", "expected a number of at least 0, not '" + value + "'");
        std::int64_t number = 0;
        const auto result = std::from_chars(value.data(), value.data() + value.size(), number);
        // More than any log has: all.
        options.lines = result.ec == std::errc() ? number : std::numeric_limits<std::int64_t>::max();
    };
    app.add_option_function<std::string>("-n,--lines", read,
                                         "Only the last N lines (default: all that is kept)")
        ->type_name("N");
    flag(app, "-f,--follow", options.follow,
         "Go on as the log grows, until the process and its tree have ended");
    flag(app, "--stderr", options.err_log,
         "The log of its stderr, where it was started with --stderr separate");
    scope(app, options);
}

void events(App& app, Options& options) {
    const auto read = [&options](const std::string& value) {
        const auto number = value == "0" ? 0 : positive_number(value);
        if (!number)
            throw CLI::ValidationError("--since", "expected the number of an event, not '" + value + "'");
        options.since = *number;
    };
    app.add_option_function<std::string>("--since", read,
                                         "From after this event on, where procd still has them")
        ->type_name("N");
}

void current(App& app, Options& options) {
    const auto choose = [&](const char* name, Options::Current what, const char* help) {
        return app.add_flag_callback(
            name, [&options, what] { options.current = what; }, help);
    };
    auto* const id = choose("--id", Options::Current::id, "Its id (the default)");
    auto* const name = choose("--name", Options::Current::name, "Its name");
    auto* const pid = choose("--pid", Options::Current::pid, "Its pid");
    id->excludes(name)->excludes(pid);
    name->excludes(pid);
}

void shutdown(App& app, Options& options) {
    auto* const wait =
        flag(app, "--wait", options.wait, "Wait for non-daemons for ever, and return when procd is gone");
    flag(app, "--now", options.now, "End everything at once")->excludes(wait);
}

void upgrade(App& app, Options& options) {
    text(app, "--binary", options.binary, "FILE",
         "The program to go on as (default: procd's own file, as it is now)");
}

void nothing_more(App&, Options&) {}

std::string needs_a_change(const Options& options) {
    return options.daemon || options.owner ? "" : "what to set is missing: --daemon, --no-daemon or --owner";
}

// How the scripts ask for candidates: the shell is "words", and the words typed so far follow.
std::string no_such_shell(const Options& options) {
    const std::string& shell = options.words[0];
    if (shell == "words") return "";
    if (std::find(k_completed_shells.begin(), k_completed_shells.end(), shell) == k_completed_shells.end())
        return "expected bash, zsh or fish, not '" + shell + "'";
    return options.words.size() == 1 ? "" : "'" + options.words[1] + "' was not expected";
}

// ---- the table --------------------------------------------------------------------------------------------

constexpr const char* k_one = "A process: its id or its name";
constexpr const char* k_many = "Processes: their ids or names";
constexpr const char* k_command = "The program and its arguments; options end here";

// clang-format off
constexpr std::array k_table{
    VerbEntry{Verb::spawn, "spawn", nullptr,
              "Starts CMD in the background. stdout: its id; stderr: what will end it.",
              "procctl spawn --name web --daemon -- python3 -m http.server 8000",
              "CMD", k_command, 1, k_any_number, true, spawn, nullptr},
    VerbEntry{Verb::create, "create", nullptr, "Like spawn, but does not start it yet.",
              "id=$(procctl create -q sleep 60); procctl start \"$id\"",
              "CMD", k_command, 1, k_any_number, true, spawn, nullptr},
    VerbEntry{Verb::start, "start", nullptr, "Starts a process that was created.", "procctl start 12",
              "SEL", k_one, 1, 1, false, scope, nullptr},
    VerbEntry{Verb::run, "run", nullptr,
              "Runs CMD in the foreground: its own streams and signals, its exit status; gone when procctl is.",
              "procctl run --timeout 60 make test\n  procctl run -t vim notes.txt",
              "CMD", k_command, 1, k_any_number, true, run, nullptr},
    VerbEntry{Verb::session, "session", nullptr,
              "Runs CMD; what is spawned inside belongs to it. Ends its daemons and waits for the rest after it.",
              "procctl session --fail-on-leak -- ./run-tests",
              "CMD", k_command, 1, k_any_number, true, session, nullptr},
    VerbEntry{Verb::list, "list", "ls", "A table of processes: the living and the newest 10 that ended.",
              "procctl ls --daemon --alive", nullptr, nullptr, 0, 0, false, list, nullptr},
    VerbEntry{Verb::status, "status", nullptr,
              "Without SEL the same table; with SEL all about it. Exit status: 0 alive, 3 not, 4 unknown.",
              "procctl status web", "SEL", k_many, 0, k_any_number, false, status, nullptr},
    VerbEntry{Verb::alive, "alive", nullptr, "Prints true or false. Exit status: 0 alive, 3 not, 4 unknown.",
              "procctl alive web || procctl spawn --name web ./web", "SEL", k_one, 1, 1, false, scope, nullptr},
    VerbEntry{Verb::pid, "pid", nullptr, "Prints its pid, also after its end; nothing before its start (3).",
              "procctl pid web", "SEL", k_one, 1, 1, false, scope, nullptr},
    VerbEntry{Verb::exitcode, "exitcode", nullptr,
              "Prints its exit code, -N after signal N; nothing while there is none (3).",
              "procctl exitcode 12", "SEL", k_one, 1, 1, false, scope, nullptr},
    VerbEntry{Verb::name, "name", nullptr, "Prints its name; with NEW gives it that one.", "procctl name 12 web",
              "SEL [NEW]", "A process, and its new name", 1, 2, false, scope, nullptr},
    VerbEntry{Verb::set, "set", nullptr, "Changes its owner, or before its start whether it is a daemon.",
              "procctl set web --owner procd", "SEL", k_one, 1, 1, false, set, needs_a_change},
    VerbEntry{Verb::wait, "wait", "join",
              "Waits until processes have ended; without SEL, all of this session or process, daemons too. "
              "One: exits with its code.",
              "procctl wait --timeout 30 web", "SEL", k_many, 0, k_any_number, false, wait, nullptr},
    VerbEntry{Verb::terminate, "terminate", "stop", "SIGTERM to the whole tree, SIGKILL after the grace.",
              "procctl stop --wait web", "SEL", k_many, 1, k_any_number, false, terminate, nullptr},
    VerbEntry{Verb::kill, "kill", nullptr, "SIGKILL to the whole tree.", "procctl kill --wait web",
              "SEL", k_many, 1, k_any_number, false, kill, nullptr},
    VerbEntry{Verb::interrupt, "interrupt", nullptr, "SIGINT, as Ctrl-C sends it, to the main process.",
              "procctl interrupt --tree web", "SEL", k_many, 1, k_any_number, false, signal, nullptr},
    VerbEntry{Verb::signal, "signal", nullptr, "Any signal, by name or number, to the main process.",
              "procctl signal web db HUP", "SEL SIGNAL", "Processes, their ids or names, then the signal",
              2, k_any_number, false, signal, nullptr},
    VerbEntry{Verb::logs, "logs", nullptr, "Prints what a process wrote to its log; -f goes on as it grows.",
              "procctl logs -n 100 -f web", "SEL", k_one, 1, 1, false, logs, nullptr},
    VerbEntry{Verb::events, "events", nullptr, "A line for each change, until it is interrupted.", "procctl events --json",
              nullptr, nullptr, 0, 0, false, events, nullptr},
    VerbEntry{Verb::close, "close", "rm", "Forgets processes that have ended.", "procctl rm 12 13",
              "SEL", k_many, 1, k_any_number, false, scope, nullptr},
    VerbEntry{Verb::current, "current", nullptr, "The process that procctl runs in; outside of any: nothing (3).",
              "procctl spawn -- sh -c 'procctl current --name'", nullptr, nullptr, 0, 0, false, current, nullptr},
    VerbEntry{Verb::info, "info", nullptr, "Who answers, and what keeps process trees together here.", "procctl info",
              nullptr, nullptr, 0, 0, false, nothing_more, nullptr},
    VerbEntry{Verb::shutdown, "shutdown", nullptr,
              "Stops procd: ends the daemons, waits for the others up to the drain time, then ends them.",
              "procctl shutdown --wait", nullptr, nullptr, 0, 0, false, shutdown, nullptr},
    VerbEntry{Verb::upgrade, "upgrade", nullptr,
              "Replaces procd by a new version of itself: same pid, same processes, no connection lost. Prints the version.",
              "procctl upgrade --binary /usr/local/bin/procd", nullptr, nullptr, 0, 0, false, upgrade, nullptr},
    VerbEntry{Verb::completion, "completion", nullptr,
              "Prints a script that completes procctl's command lines, process names too: bash, zsh or fish.",
              "source <(procctl completion bash)", "SHELL", "The shell", 1, k_any_number, true, nothing_more, no_such_shell},
};
// clang-format on

}  // namespace

const std::span<const VerbEntry> k_verbs(k_table);

const VerbEntry* find_verb(std::string_view word) {
    for (const VerbEntry& entry : k_verbs)
        if (word == entry.name || (entry.alias != nullptr && word == entry.alias)) return &entry;
    return nullptr;
}

namespace {

void add_common_options(App& app, Options& options) {
    seconds(app, "--timeout", options.timeout, "Give up after this time: exit status 124");
    flag(app, "--json", options.json, "Print procd's answer as a line of JSON, errors too");
    text(app, "-s,--socket", options.socket, "PATH",
         "procd's socket (default: $PROCD_SOCKET, else yours, else the machine's)");
}

}  // namespace

void add_root_options(App& app, Options& options) {
    app.set_version_flag("--version", "procctl " PROCD_VERSION, "Print the version and exit");
    add_common_options(app, options);
}

void add_verb_options(App& app, const VerbEntry& entry, Options& options) {
    entry.build(app, options);
    add_common_options(app, options);
}

}  // namespace procctl
