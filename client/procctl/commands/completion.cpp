#include "client/procctl/completion.hpp"

#include <set>
#include <string_view>

#include "client/procctl/commands/commands.hpp"
#include "client/procctl/text.hpp"

namespace procctl::commands {
namespace {

namespace proto = procd::proto;

// The scripts only carry the words here and the candidates back, a line each: "text<TAB>help". What the shell
// has to add is a line of its own: ":commands" or ":files".
constexpr std::string_view k_bash = R"sh(# source <(procctl completion bash)
_procctl() {
    local words=("${COMP_WORDS[@]:1:COMP_CWORD}") current=${COMP_WORDS[COMP_CWORD]} line
    # Readline takes = for a word of its own: --name=x has come as three.
    if [[ $current == = ]]; then current=; fi
    local joined=() word
    for word in "${words[@]}"; do
        if [[ $word == = && ${#joined[@]} -gt 0 ]] || [[ ${#joined[@]} -gt 0 && ${joined[-1]} == --*= ]]; then
            joined[-1]+=$word
        else
            joined+=("$word")
        fi
    done
    COMPREPLY=()
    while IFS= read -r line; do
        case $line in
            :commands) COMPREPLY+=($(compgen -c -- "$current")) ;;
            :files) compopt -o default 2>/dev/null ;;
            *)
                line=${line%%$'\t'*}
                [[ ${joined[-1]} != --*=* ]] || line=${line#*=}
                COMPREPLY+=("$(printf '%q' "$line")")
                ;;
        esac
    done < <(procctl completion words "${joined[@]}" 2>/dev/null)
}
complete -F _procctl procctl
)sh";

constexpr std::string_view k_zsh = R"sh(#compdef procctl
# source <(procctl completion zsh), or as _procctl in a directory of $fpath
_procctl() {
    local line also=() names=() shown=()
    while IFS= read -r line; do
        case $line in
            :*) also+=("${line#:}") ;;
            *)
                names+=("${line%%$'\t'*}")
                shown+=("${line/$'\t'/  -- }")
                ;;
        esac
    done < <(procctl completion words "${(@Q)words[2,CURRENT]}" 2>/dev/null)
    (( ${#names} )) && compadd -l -d shown -- "${names[@]}"
    case $also in
        commands) _command_names ;;
        files) _files ;;
    esac
}
if [[ $funcstack[1] == _procctl ]]; then _procctl; else compdef _procctl procctl; fi
)sh";

constexpr std::string_view k_fish = R"sh(# procctl completion fish | source
function __procctl_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (procctl completion words $words[2..] 2>/dev/null)
        switch $line
            case :commands
                __fish_complete_command
            case :files
                __fish_complete_path (commandline -ct)
            case '*'
                echo $line
        end
    end
end
complete -c procctl -f -a '(__procctl_complete)'
)sh";

constexpr double k_patience_seconds = 0.5;  // a prompt does not wait for a procd that is busy

// Names that several have are there once; ids are candidates where digits were typed.
void add_processes(Context& context, const std::string& typed, Completion& completion) {
    const auto reply =
        context.call_until<proto::List>({}, {}, procd::client::Deadline::after(k_patience_seconds));
    if (!reply) return;
    std::set<std::string> names;
    for (const auto& [process, only] : reply->result.processes) {
        const std::string id = std::to_string(process.id);
        if (!typed.empty() && id.starts_with(typed)) completion.candidates.push_back({id, process.name});
        if (process.name.starts_with(typed) && names.insert(process.name).second)
            completion.candidates.push_back({process.name, process.fate});
    }
}

}  // namespace

int completion(Context& context) {
    const auto& words = context.options.words;
    if (words[0] != "words") {
        context.out.text(words[0] == "bash" ? k_bash : words[0] == "zsh" ? k_zsh : k_fish);
        return k_done;
    }
    auto found = complete({words.begin() + 1, words.end()});
    if (found.also == Completion::Also::processes) add_processes(context, words.back(), found);
    for (const auto& [text, help] : found.candidates)
        context.out.line(escaped(text) + (help.empty() ? "" : "\t" + escaped(help)));
    if (found.also == Completion::Also::commands) context.out.line(":commands");
    if (found.also == Completion::Also::files) context.out.line(":files");
    return k_done;
}

}  // namespace procctl::commands
