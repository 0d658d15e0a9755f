#include "client/procctl/completion.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <CLI/CLI.hpp>

#include "client/procctl/cli.hpp"
#include "client/procctl/cli_words.hpp"
#include "client/procctl/verbs.hpp"
#include "proto/signals.hpp"

namespace procctl {
namespace {

using Also = Completion::Also;

void keep_those_that_begin_with(Completion& completion, const std::string& typed) {
    std::erase_if(completion.candidates,
                  [&](const auto& candidate) { return !candidate.text.starts_with(typed); });
}

std::string first_sentence(const std::string& text) {
    return text.substr(0, text.find(". "));
}

Completion verbs() {
    Completion completion;
    for (const VerbEntry& entry : k_verbs)
        completion.candidates.push_back({entry.name, first_sentence(entry.summary)});
    return completion;
}

Completion options_of(const CLI::App& app) {
    Completion completion;
    for (const CLI::Option* option : app.get_options({}))
        for (const std::string& name : option->get_lnames())
            completion.candidates.push_back({"--" + name, first_sentence(option->get_description())});
    return completion;
}

// From how the help names the value: words in small letters are to be typed as they are; FILE and DIR are the
// shell's.
Completion values_of(const CLI::App& app, const std::string& option_name) {
    Completion completion;
    const CLI::Option* const option = app.get_option_no_throw(option_name);
    const std::string type_name = option == nullptr ? std::string() : option->get_type_name();
    std::string_view type = type_name;
    while (!type.empty()) {
        const std::string_view one = type.substr(0, type.find('|'));
        type.remove_prefix(std::min(type.size(), one.size() + 1));
        if (one == "FILE" || one == "DIR" || one == "PATH")
            completion.also = Also::files;
        else if (std::all_of(one.begin(), one.end(), [](char c) { return c >= 'a' && c <= 'z'; }))
            completion.candidates.push_back({std::string(one), ""});
    }
    if (option_name == "--owner")
        for (const char* owner : {"caller", "session", "process", "connection", "procd"})
            completion.candidates.push_back({owner, ""});
    return completion;
}

void add_signals(Completion& completion) {
    constexpr int k_last_standard = 31;
    for (int number = 1; number <= k_last_standard; ++number)
        completion.candidates.push_back({procd::proto::signal_name(number).substr(3), ""});  // without SIG
}

// The words beside the options: `before` are there already.
Completion words_of(const VerbEntry& entry, std::size_t before) {
    Completion completion;
    const std::string_view words = entry.words == nullptr ? "" : entry.words;
    if (before >= entry.most_words) return completion;
    if (words == "CMD") {
        completion.also = before == 0 ? Also::commands : Also::files;
    } else if (words == "SHELL" && before == 0) {
        for (const std::string_view shell : k_completed_shells)
            completion.candidates.push_back({std::string(shell), ""});
    } else if (words == "SEL SIGNAL") {
        completion.also = Also::processes;
        if (before > 0) add_signals(completion);
    } else if (words.starts_with("SEL") && (before == 0 || !words.ends_with("[NEW]"))) {
        completion.also = Also::processes;
    }
    return completion;
}

// How far a list of words is read: which option still lacks its value, and how many words stand beside them.
struct Reading {
    std::string open_option;
    std::size_t words = 0;
    bool options_ended = false;
};

Reading read_until_last(const CLI::App& app, const std::vector<std::string>& words, std::size_t from,
                        bool command) {
    Reading reading;
    for (std::size_t i = from; i + 1 < words.size(); ++i) {
        const std::string& word = words[i];
        reading.open_option.clear();
        if (reading.options_ended || word.size() < 2 || word[0] != '-') {
            ++reading.words;
            reading.options_ended = reading.options_ended || command;
        } else if (word == "--") {
            reading.options_ended = true;
        } else if (wants_next(app, word)) {
            if (i + 2 < words.size())
                ++i;
            else
                reading.open_option = word;
        }
    }
    return reading;
}

Completion complete_in(const CLI::App& app, const Reading& reading, const std::string& typed,
                       Completion words) {
    Completion completion;
    const std::size_t equals = typed.find('=');
    if (!reading.open_option.empty()) {
        completion = values_of(app, reading.open_option);
    } else if (!reading.options_ended && typed.starts_with("--") && equals != std::string::npos) {
        completion = values_of(app, typed.substr(0, equals));
        for (auto& candidate : completion.candidates) candidate.text.insert(0, typed.substr(0, equals + 1));
    } else if (!reading.options_ended && typed.starts_with('-')) {
        completion = options_of(app);
    } else {
        completion = std::move(words);
    }
    keep_those_that_begin_with(completion, typed);
    return completion;
}

}  // namespace

Completion complete(const std::vector<std::string>& words) {
    const std::string typed = words.empty() ? std::string() : words.back();
    CLI::App root;
    Options ignored;
    add_root_options(root, ignored);
    // The verb is the first word beside the root's options.
    std::size_t verb_at = 0;
    for (; verb_at + 1 < words.size() && words[verb_at].starts_with('-'); ++verb_at)
        if (wants_next(root, words[verb_at])) ++verb_at;
    if (verb_at + 1 >= words.size()) {
        const Reading reading = read_until_last(root, words, 0, true);
        return complete_in(root, reading, typed, verbs());
    }
    const VerbEntry* const entry = find_verb(words[verb_at]);
    if (entry == nullptr) return {};
    CLI::App verb;
    add_verb_options(verb, *entry, ignored);
    const Reading reading = read_until_last(verb, words, verb_at + 1, entry->command);
    return complete_in(verb, reading, typed, words_of(*entry, reading.words));
}

}  // namespace procctl
