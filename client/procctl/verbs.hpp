#pragma once

#include <cstddef>
#include <span>
#include <string>

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

// -s, --json, --timeout: every verb's, and understood before it, too.
void add_common_options(CLI::App& app, Options& options);

}  // namespace procctl
