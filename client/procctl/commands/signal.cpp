#include <algorithm>
#include <charconv>

#include "client/procctl/commands/asking.hpp"
#include "client/procctl/commands/commands.hpp"
#include "client/procctl/owner_spec.hpp"
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

// The signal stands last: `signal web HUP`. Where the last word is no signal's name, `signal HUP web` and
// `signal HUP 12` are understood, too, and so is `signal 9 web`; of two numbers the last is the signal.
bool signal_stands_last(const std::vector<std::string>& words) {
    if (proto::signal_number(words.back())) return true;
    if (proto::signal_number(words.front())) return false;
    return is_number(words.back()) || !number_of(words.front());
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
