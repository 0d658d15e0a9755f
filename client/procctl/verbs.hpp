#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "client/procctl/options.hpp"

namespace CLI {
class App;
}

namespace procctl {

// One verb of the command line: what it is called, what it takes and how it is explained.
struct VerbEntry {
    Verb verb;
    const char* name;
    const char* alias;  // or null
    const char* summary;
    const char* example;
    // The words beside the options.
    const char* words;  // their name in the help, or null: it takes none
    const char* words_help;
    std::size_t least_words;
    std::size_t most_words;
    bool command;  // options end at the first word
    void (*build)(CLI::App&, Options&);
    // What does not go together, or is missing; empty: all is well. May be null.
    std::string (*check)(const Options&);
};

// All of them, in the order in which the help lists them.
extern const std::span<const VerbEntry> k_verbs;

// By its name or alias; null: there is none.
const VerbEntry* find_verb(std::string_view word);

// What may stand before the verb: --version, and what every verb takes: -s, --json, --timeout.
void add_root_options(CLI::App& app, Options& options);
// The verb's own options, and those of every verb.
void add_verb_options(CLI::App& app, const VerbEntry& entry, Options& options);

// The shells that `completion` writes a script for.
inline constexpr std::array<std::string_view, 3> k_completed_shells{"bash", "zsh", "fish"};

}  // namespace procctl
