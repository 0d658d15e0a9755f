#include "daemon/core/selector.hpp"

#include <algorithm>

#include "daemon/core/supervisor.hpp"

namespace procd::core {
namespace {

bool is_live(const Process& process) {
    return process.started_or_starting() && !process.exited();
}

bool is_own(const Process& process, const Caller& caller, const std::optional<OwnerKey>& scope) {
    if (scope) return process.owner == *scope;
    switch (process.owner.kind) {
        case OwnerKind::connection:
            return process.owner.number == caller.connection;
        case OwnerKind::session:
            return std::find(caller.sessions.begin(), caller.sessions.end(),
                             static_cast<SessionId>(process.owner.number)) != caller.sessions.end();
        case OwnerKind::process:
            return caller.enclosing && process.owner.number == static_cast<std::uint64_t>(*caller.enclosing);
        case OwnerKind::pid:
        case OwnerKind::procd:
            break;
    }
    return false;
}

// The processes that a name means: those that count, in order of id. Empty: there is none.
std::vector<const Process*> matches(const Supervisor& supervisor, const Caller& caller,
                                    const Selector& selector, Want want) {
    const auto* ids = supervisor.named(selector.name);
    if (!ids) return {};
    std::vector<const Process*> own, all;
    for (const ProcessId id : *ids) {
        const Process* process = supervisor.find(id);
        if (!visible(caller, process->uid)) continue;
        all.push_back(process);
        if (is_own(*process, caller, selector.scope)) own.push_back(process);
    }
    std::vector<const Process*>& found = own.empty() && !selector.scope ? all : own;
    if (found.empty()) return {};

    std::vector<const Process*> chosen;
    const auto choose = [&](auto&& takes) {
        std::copy_if(found.begin(), found.end(), std::back_inserter(chosen),
                     [&](const Process* p) { return takes(*p); });
        return !chosen.empty();
    };
    if (want == Want::initial && choose([](const Process& p) { return !p.started_or_starting(); }))
        return {chosen.back()};
    if (want == Want::ended && choose([](const Process& p) { return p.exited(); })) return chosen;
    if (choose(is_live)) return chosen;
    return {found.back()};
}

Refusal unknown(const std::vector<Selector>& missing) {
    Refusal refusal{RefusalKind::no_such_process, "no such process:", {}, {}};
    for (const Selector& selector : missing) {
        if (selector.id)
            refusal.missing.emplace_back(*selector.id);
        else
            refusal.missing.emplace_back(selector.name);
        refusal.message += " " + (selector.id ? std::to_string(*selector.id) : selector.name);
    }
    return refusal;
}

}  // namespace

bool visible(const Caller& caller, UserId uid) {
    return caller.sees_all || caller.uid == uid;
}

Outcome<ProcessId> resolve(const Supervisor& supervisor, const Caller& caller, const Selector& selector,
                           Want want) {
    if (selector.id) {
        const Process* process = supervisor.find(*selector.id);
        if (!process || !visible(caller, process->uid)) return unknown({selector});
        return process->id;
    }
    const auto found = matches(supervisor, caller, selector, want == Want::ended ? Want::any : want);
    if (found.empty()) return unknown({selector});
    if (found.size() == 1) return found[0]->id;
    Refusal refusal{
        RefusalKind::ambiguous, "several live processes are called " + selector.name + ":", {}, {}};
    for (const Process* process : found) {
        refusal.candidates.push_back(process->id);
        refusal.message += " " + std::to_string(process->id);
    }
    return refusal;
}

Outcome<std::vector<ProcessId>> resolve_all(const Supervisor& supervisor, const Caller& caller,
                                            const std::vector<Selector>& selectors, Want want) {
    std::vector<ProcessId> ids;
    std::vector<Selector> missing;
    std::set<ProcessId> seen;
    for (const Selector& selector : selectors) {
        std::vector<const Process*> found;
        if (!selector.id) {
            found = matches(supervisor, caller, selector, want);
        } else if (const Process* process = supervisor.find(*selector.id);
                   process && visible(caller, process->uid)) {
            found.push_back(process);
        }
        if (found.empty()) missing.push_back(selector);
        for (const Process* process : found)
            if (seen.insert(process->id).second) ids.push_back(process->id);
    }
    if (!missing.empty()) return unknown(missing);
    return ids;
}

}  // namespace procd::core
