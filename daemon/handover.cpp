#include "daemon/handover.hpp"

#include <cstdio>
#include <utility>
#include <variant>

#include "daemon/loop/log.hpp"
#include "daemon/sys/replace.hpp"
#include "daemon/sys/state_file.hpp"

namespace procd {
namespace {

std::variant<state::Snapshot, std::string> snapshot_in(int memory) {
    const auto text = sys::read_state_memory(memory);
    if (!text) return text.error().message();
    return state::snapshot_from(*text);
}

}  // namespace

std::optional<state::Journal> former_journal(const std::string& path) {
    if (path.empty()) return std::nullopt;
    auto text = sys::read_state_file(path);
    if (!text) {
        loop::log_warning("the journal of the procd before is not read: " + text.error().message());
        return std::nullopt;
    }
    if (!*text) return std::nullopt;
    state::Journal journal = state::read_journal(**text);
    if (journal.header && !state::is_readable(*journal.header)) {
        const std::string aside = path + ".version-" + std::to_string(journal.header->version);
        (void)sys::rename_file(path, aside);
        loop::log_warning("the journal " + path +
                          " is of a newer procd's and cannot be read: it is put aside as " + aside +
                          ", and what that procd started is ended");
        journal.saved = {};
        return journal;
    }
    if (journal.torn)
        loop::log_warning("the last line of the journal " + path +
                          " is torn: it was being written when procd ended");
    else if (journal.broken > 0)
        loop::log_warning("of the journal " + path + " " + std::to_string(journal.broken) +
                          " lines cannot be used (" + journal.why + "); the others are");
    return journal;
}

Passed take_passed(const std::string& text) {
    Passed passed;
    int memory = -1;
    std::sscanf(text.c_str(), "%d,%d,%d", &memory, &passed.listener, &passed.lock);
    auto snapshot = snapshot_in(memory);
    UniqueFd(memory).reset();
    if (auto* whole = std::get_if<state::Snapshot>(&snapshot)) {
        passed.snapshot = std::move(*whole);
    } else {
        loop::log_error("the state that was passed cannot be read (" + std::get<std::string>(snapshot) +
                        "): what the journal says must do, and connections are lost");
        sys::close_others({passed.listener, passed.lock});
    }
    return passed;
}

int check_state(int fd) {
    const auto snapshot = snapshot_in(fd);
    const auto* why = std::get_if<std::string>(&snapshot);
    std::printf("%s\n", why ? why->c_str() : PROCD_VERSION);
    return why ? 1 : 0;
}

}  // namespace procd
