#include <algorithm>
#include <charconv>

#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"
#include "proto/signals.hpp"

namespace procctl::commands {
namespace {

namespace proto = procd::proto;

std::optional<int> number_of(const std::string& word) {
    int number = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error == std::errc() && stop == word.data() + word.size())
        return number > 0 && number <= proto::signal_highest() ? std::optional(number) : std::nullopt;
    return proto::signal_number(word);
}

// The signal stands last: `signal web HUP`. `signal HUP web` and `signal HUP 12` are understood, too: where
// the last word is no signal, or is a number behind a signal's name.
bool signal_stands_last(const std::vector<std::string>& words) {
    const bool named_first = proto::signal_number(words.front()).has_value();
    const bool named_last = proto::signal_number(words.back()).has_value();
    return named_last || (number_of(words.back()) && !named_first);
}

}  // namespace

int signal(Context& context) {
    auto words = context.options.words;
    if (signal_stands_last(words)) std::rotate(words.begin(), words.end() - 1, words.end());
    const auto number = number_of(words[0]);
    if (!number) return context.fail(Failure::usage("'" + words[0] + "' is no signal"));
    words.erase(words.begin());
    return tell_many<proto::SendSignal>(context, std::move(words), [&](auto& params) {
        params.signal.number = *number;
        if (context.options.tree) params.tree = true;
    });
}

}  // namespace procctl::commands
