#include "client/procctl/help_format.hpp"

#include <algorithm>
#include <string>

#include <CLI/CLI.hpp>

namespace procctl {
namespace {

constexpr std::size_t k_column = 30;
constexpr std::size_t k_description_width = 78;

std::string wrapped(const std::string& text, std::size_t width) {
    std::string out;
    std::size_t line = 0;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find(' ', begin), text.size());
        const std::size_t length = end - begin;
        if (line > 0 && line + 1 + length > width) {
            out += '\n';
            line = 0;
        } else if (line > 0) {
            out += ' ';
            ++line;
        }
        out.append(text, begin, length);
        line += length;
        begin = end + 1;
    }
    return out;
}

class Format : public CLI::Formatter {
  public:
    Format() {
        column_width(k_column);
        label("Subcommands", "Verbs");
    }

    std::string make_usage(const CLI::App* app, std::string name) const override {
        std::string usage = "Usage: " + name + " [OPTIONS]";
        if (app->get_parent() == nullptr) return usage + " VERB …\n";
        for (const CLI::Option* option : app->get_options({})) {
            if (!option->get_positional()) continue;
            const std::string many =
                option->get_items_expected_max() > 1 && !option->get_name().ends_with(']') ? "…" : "";
            const std::string words = option->get_name() + many;
            usage += option->get_required() ? " " + words : " [" + words + "]";
        }
        return usage + "\n";
    }
    std::string make_option_opts(const CLI::Option* option) const override {
        const std::string type = option->get_type_name();
        return type.empty() ? type : " " + type;
    }
    std::string make_option_desc(const CLI::Option* option) const override {
        return wrapped(option->get_description(), k_description_width);
    }
    std::string make_subcommand(const CLI::App* verb) const override {
        std::stringstream out;
        CLI::detail::format_help(out, verb->get_display_name(true),
                                 wrapped(verb->get_description(), k_description_width), column_width_);
        return out.str();
    }
};

}  // namespace

std::shared_ptr<CLI::FormatterBase> help_format() {
    return std::make_shared<Format>();
}

}  // namespace procctl
