#include "client/procctl/cli_words.hpp"

#include <string_view>

#include <CLI/CLI.hpp>

namespace procctl {
namespace {

// Whether the option takes a value. An unknown one does not; CLI11 will say what it thinks of it.
bool takes_value(const CLI::App& app, const std::string& name) {
    const CLI::Option* const option = app.get_option_no_throw(name);
    return option != nullptr && option->get_items_expected_max() > 0;
}

}  // namespace

bool wants_next(const CLI::App& app, const std::string& argument) {
    if (argument.starts_with("--"))
        return argument.find('=') == std::string::npos && takes_value(app, argument);
    for (std::size_t i = 1; i < argument.size(); ++i)
        if (takes_value(app, std::string("-") + argument[i])) return i + 1 == argument.size();
    return false;
}

SplitArguments split_arguments(const CLI::App& app, const std::vector<std::string>& arguments, bool command) {
    SplitArguments split;
    std::size_t i = 0;
    const auto rest_is_words = [&] {
        split.words.insert(split.words.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i),
                           arguments.end());
    };
    for (; i < arguments.size(); ++i) {
        const std::string& argument = arguments[i];
        if (argument == "--") {
            ++i;
            rest_is_words();
            break;
        }
        if (argument.size() < 2 || argument[0] != '-') {
            if (command) {
                rest_is_words();
                break;
            }
            split.words.push_back(argument);
            continue;
        }
        if (argument.starts_with("--") && argument.ends_with('=') &&
            argument.find('=') + 1 == argument.size()) {
            // An empty value: CLI11 would take the next argument for it.
            split.options.push_back(argument.substr(0, argument.size() - 1));
            split.options.emplace_back();
            continue;
        }
        split.options.push_back(argument);
        if (wants_next(app, argument) && i + 1 < arguments.size()) split.options.push_back(arguments[++i]);
    }
    return split;
}

}  // namespace procctl
