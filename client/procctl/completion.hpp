#pragma once

#include <string>
#include <vector>

namespace procctl {

// What may stand where the cursor is on a command line.
struct Completion {
    // Beside `candidates`: what only the shell, or procd, can know.
    enum class Also { nothing, processes, commands, files };
    struct Candidate {
        std::string text;
        std::string help;
    };
    std::vector<Candidate> candidates;
    Also also = Also::nothing;
};

// words: the command line behind the program's name, up to the one that is being typed (perhaps empty). Pure;
// everything comes from the table of verbs and their options.
Completion complete(const std::vector<std::string>& words);

}  // namespace procctl
