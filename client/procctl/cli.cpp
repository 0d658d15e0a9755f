#include "client/procctl/cli.hpp"

#include <algorithm>
#include <cmath>

#include <CLI/CLI.hpp>

#include "client/procctl/cli_words.hpp"
#include "client/procctl/exit_codes.hpp"
#include "client/procctl/help_format.hpp"
#include "client/procctl/text.hpp"
#include "client/procctl/verbs.hpp"
#include "proto/types.hpp"

namespace procctl {
namespace {

constexpr const char* k_about =
    "Starts processes and leaves none behind: each has an owner, whose end decides its fate.\n"
    "SEL is a process: its id (all digits) or its name.";

constexpr const char* k_afterwards =
    "procctl VERB --help says more of each verb, with an example.\n"
    "Exit status: 0 done; 1 refused by procd; 2 usage; 3 not alive, none yet; 4 no such process; 124 timed "
    "out;\n"
    "125 procd out of reach; 126 cannot execute; 127 not found. run, session and wait give that of the "
    "process,\n"
    "128+N after signal N. --json prints procd's own answer in one line, errors too.";

CLI::App* add_verb(CLI::App& root, const VerbEntry& entry, Options& options,
                   std::vector<std::string>& placeholders) {
    CLI::App* const app = root.add_subcommand(entry.name, entry.summary);
    if (entry.alias != nullptr) app->alias(entry.alias);
    app->footer(std::string("Example:\n  ") + entry.example);
    if (entry.words != nullptr) {
        const bool many = entry.most_words > 1;
        auto* const option = app->add_option(entry.words, placeholders, entry.words_help)->type_name("");
        option->expected(1, many ? 1 << 20 : 1)->required(entry.least_words > 0);
    }
    add_verb_options(*app, entry, options);
    return app;
}

Answer usage(const std::string& message, const VerbEntry* entry, bool json) {
    Answer answer{k_usage,
                  {},
                  "procctl: " + escaped(message) + "\nTry: procctl " +
                      (entry ? entry->name + std::string(" ") : "") + "--help\n"};
    if (json) {
        const procd::proto::OrderedJson error{
            {"code", k_usage}, {"message", message}, {"data", {{"kind", "usage"}}}};
        answer.out = procd::proto::dump(procd::proto::OrderedJson{{"error", error}}) + '\n';
    }
    return answer;
}

// CLI11 ends some of its messages with a newline or a list of its own.
std::string one_line(std::string text) {
    while (!text.empty() && text.back() == '\n') text.pop_back();
    std::replace(text.begin(), text.end(), '\n', ' ');
    return text;
}

bool asks_for_json(const SplitArguments& arguments) {
    return std::find(arguments.options.begin(), arguments.options.end(), "--json") != arguments.options.end();
}

std::string what_is_wrong(const VerbEntry& entry, const std::vector<std::string>& words) {
    if (words.size() < entry.least_words)
        return std::string(entry.name) + ": " + entry.words + " is missing" +
               (words.empty() ? "" : " after '" + words.back() + "'");
    if (words.size() > entry.most_words)
        return std::string(entry.name) + ": '" + words[entry.most_words] + "' was not expected";
    if (!entry.command)  // then they are names
        for (const std::string& word : words)
            if (!procd::proto::is_utf8(word))
                return std::string(entry.name) + ": '" + word + "' is not UTF-8";
    return {};
}

}  // namespace

std::variant<Options, Answer> parse_command_line(const std::vector<std::string>& arguments) {
    Options options;
    std::vector<std::string> placeholders;
    CLI::App root(k_about, "procctl");
    root.footer(k_afterwards);
    root.formatter(help_format());
    root.require_subcommand(1);
    add_root_options(root, options);

    // Only the verb that is meant is built: the whole tree costs more time than most requests.
    const SplitArguments outer = split_arguments(root, arguments, true);
    const VerbEntry* const entry = outer.words.empty() ? nullptr : find_verb(outer.words[0]);
    if (!outer.words.empty() && entry == nullptr)
        return usage("there is no verb '" + outer.words[0] + "'", nullptr, asks_for_json(outer));

    std::vector<std::string> cleaned = outer.options;
    SplitArguments inner;
    if (entry != nullptr) {
        CLI::App* const app = add_verb(root, *entry, options, placeholders);
        inner = split_arguments(*app, {outer.words.begin() + 1, outer.words.end()}, entry->command);
        cleaned.push_back(entry->name);
        // As many as CLI11 wants: how many there are is checked here, below.
        cleaned.insert(cleaned.end(), entry->least_words > 0 ? 1 : 0, "word");
        cleaned.insert(cleaned.end(), inner.options.begin(), inner.options.end());
    } else {
        for (const VerbEntry& each : k_verbs) add_verb(root, each, options, placeholders);
    }
    const bool json = asks_for_json(outer) || asks_for_json(inner);

    if (entry == nullptr && outer.options.empty()) return Answer{k_usage, {}, root.help()};
    try {
        std::reverse(cleaned.begin(), cleaned.end());  // as CLI11 takes them
        root.parse(cleaned);
    } catch (const CLI::CallForHelp&) {
        return Answer{k_done, root.help(), {}};
    } catch (const CLI::CallForVersion& version) {
        return Answer{k_done, std::string(version.what()) + '\n', {}};
    } catch (const CLI::ParseError& error) {
        return usage(
            entry == nullptr ? "a verb is missing, or " + one_line(error.what()) : one_line(error.what()),
            entry, json);
    }
    const std::string wrong = what_is_wrong(*entry, inner.words);
    if (!wrong.empty()) return usage(wrong, entry, json);
    options.verb = entry->verb;
    options.words = std::move(inner.words);
    const std::string conflict = entry->check == nullptr ? std::string() : entry->check(options);
    if (!conflict.empty()) return usage(std::string(entry->name) + ": " + conflict, entry, json);
    return options;
}

}  // namespace procctl
