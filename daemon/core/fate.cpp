#include "daemon/core/supervisor.hpp"

// What will end a process, or what did, in a sentence: nobody has to guess.
namespace procd::core {
namespace {

std::string seconds(Duration duration) {
    const double value = std::chrono::duration<double>(duration).count();
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text + " s";
}

std::string who_ended_it(const Process& process, Cause cause) {
    switch (cause) {
        case Cause::self:
            return "by itself";
        case Cause::client:
            return "by a client";
        case Cause::owner:
            return "its owner " + describe(process.owner, process.owner_facts) + " ended";
        case Cause::shutdown:
            return "procd stopped";
        case Cause::limit:
            return "it reached a limit";
    }
    return {};
}

std::string past(const Process& process) {
    const Ending& ending = *process.ending;
    if (ending.exit.how == How::exec_failed) return "could not be started";
    if (ending.exit.how == How::lost) return "ended unseen: its exit code is lost";
    std::string text = "ended: " + who_ended_it(process, ending.cause);
    if (ending.leftovers > 0) text += "; " + std::to_string(ending.leftovers) + " left behind, ended";
    return text;
}

}  // namespace

std::string Supervisor::fate(const Process& process) const {
    if (process.exited()) return past(process);
    if (process.life.phase() == Phase::kept)
        return "ended; " + std::to_string(process.life.leftovers()) +
               " left behind, kept until its owner ends";
    if (process.ending && process.ending->leftovers > 0)
        return "ended; " + std::to_string(process.ending->leftovers) + " left behind, being ended";
    if (process.life.end_wanted())
        return "being ended: " + who_ended_it(process, process.end_cause.value_or(Cause::self));
    const std::string owner = describe(process.owner, process.owner_facts);
    const bool daemon = process.daemon;
    switch (process.owner.kind) {
        case OwnerKind::procd:
            return daemon
                       ? "ends when procd stops"
                       : "runs to its own end; a stopping procd waits " + seconds(config_.drain) + " for it";
        case OwnerKind::session:
            return daemon ? "ends when " + owner + " ends" : owner + " waits for it";
        case OwnerKind::connection:
        case OwnerKind::process:
        case OwnerKind::pid:
            break;
    }
    return (daemon ? "ends when " : "runs on when ") + owner + " ends";
}

std::optional<int> Process::exitcode() const {
    if (!ending) return std::nullopt;
    switch (ending->exit.how) {
        case How::exited:
        case How::exec_failed:
            return ending->exit.code;
        case How::signaled:
            return -ending->exit.signal;
        case How::lost:
            break;
    }
    return std::nullopt;
}

}  // namespace procd::core
