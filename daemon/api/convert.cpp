#include "daemon/api/convert.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <system_error>

namespace procd::api {
namespace {

// The enums of both sides have the same enumerators in the same order; these hold that at compile time.
template <class To, class From>
constexpr To same(From value) {
    return static_cast<To>(value);
}
static_assert(same<proto::State>(core::State::exited) == proto::State::exited);
static_assert(same<proto::State>(core::State::stopping) == proto::State::stopping);
static_assert(same<proto::How>(core::How::lost) == proto::How::lost);
static_assert(same<proto::How>(core::How::exec_failed) == proto::How::exec_failed);
static_assert(same<proto::Cause>(core::Cause::limit) == proto::Cause::limit);
static_assert(same<proto::Cause>(core::Cause::owner) == proto::Cause::owner);
static_assert(same<proto::OwnerKind>(core::OwnerKind::procd) == proto::OwnerKind::procd);
static_assert(same<proto::OwnerKind>(core::OwnerKind::process) == proto::OwnerKind::process);
static_assert(same<proto::EventType>(core::EventType::closed) == proto::EventType::closed);
static_assert(same<proto::EventType>(core::EventType::stopping) == proto::EventType::stopping);

proto::ErrorKind kind_of(core::RefusalKind kind) {
    using From = core::RefusalKind;
    using To = proto::ErrorKind;
    switch (kind) {
        case From::bad_request:
            return To::bad_request;
        case From::no_such_process:
            return To::no_such_process;
        case From::ambiguous:
            return To::ambiguous;
        case From::name_in_use:
            return To::name_in_use;
        case From::already_started:
            return To::already_started;
        case From::not_started:
            return To::not_started;
        case From::still_running:
            return To::still_running;
        case From::daemonic_no_children:
            return To::daemonic_no_children;
        case From::owner_gone:
            return To::owner_gone;
        case From::not_permitted:
            return To::not_permitted;
        case From::deadlock:
            return To::deadlock;
        case From::limit:
            return To::limit;
        case From::shutting_down:
            return To::shutting_down;
    }
    return To::bad_request;
}

proto::OwnerObject owner_object(const core::Process& process) {
    proto::OwnerObject owner;
    owner.kind = same<proto::OwnerKind>(process.owner.kind);
    if (process.owner.kind == core::OwnerKind::process)
        owner.process = static_cast<std::int64_t>(process.owner.number);
    if (process.owner.kind == core::OwnerKind::session)
        owner.session = core::session_text(static_cast<core::SessionId>(process.owner.number));
    if (process.owner_facts.pid != 0) {
        owner.pid = process.owner_facts.pid;
        owner.comm = process.owner_facts.comm;
    }
    owner.was = process.was;
    return owner;
}

proto::ResultObject result_object(const core::Ending& ending) {
    proto::ResultObject result;
    result.how = same<proto::How>(ending.exit.how);
    if (ending.exit.how == core::How::signaled)
        result.signal = ending.exit.signal;
    else if (ending.exit.how != core::How::lost)
        result.code = ending.exit.code;
    result.core = ending.exit.core;
    result.cause = same<proto::Cause>(ending.cause);
    result.leftovers = static_cast<std::int64_t>(ending.leftovers);
    return result;
}

}  // namespace

proto::EventType wire_event(core::EventType type) {
    return same<proto::EventType>(type);
}

std::string rfc3339(core::Wall time) {
    namespace chrono = std::chrono;
    const auto day = chrono::floor<chrono::days>(time);
    const chrono::year_month_day date(day);
    const chrono::hh_mm_ss clock(chrono::floor<chrono::microseconds>(time - day));
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d.%06dZ",
                  static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                  static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()),
                  static_cast<int>(clock.subseconds().count()));
    return text.data();
}

core::Duration duration(const proto::Seconds& seconds) {
    constexpr double k_longest = 1e9;  // thirty years: for ever, without overflow
    return std::chrono::duration_cast<core::Duration>(
        std::chrono::duration<double>(std::min(seconds.value, k_longest)));
}

proto::ProcessObject process_object(const core::Supervisor& core, const core::Process& process,
                                    core::Now now) {
    proto::ProcessObject object;
    object.id = process.id;
    object.name = process.name;
    if (process.pid != 0) object.pid = process.pid;
    object.daemon = process.daemon;
    object.owner = owner_object(process);
    object.state = same<proto::State>(process.state());
    object.alive = process.alive();
    if (const auto code = process.exitcode()) object.exitcode = *code;
    if (process.ending) object.result = result_object(*process.ending);
    object.uid = process.uid;
    object.fate = core.fate(process);
    object.command.reserve(process.command.size());
    for (const std::string& word : process.command) object.command.push_back({word});
    object.cwd = {process.cwd};
    object.created = rfc3339(process.created);
    if (process.started) {
        object.started = rfc3339(*process.started);
        const core::Mono until = process.alive() ? now.mono : process.ended_mono;
        object.uptime = std::chrono::duration<double>(until - process.started_mono).count();
    }
    if (process.ended) object.ended = rfc3339(*process.ended);
    if (process.log) object.log = proto::Bytes{*process.log};
    if (process.log_stderr) object.log_stderr = proto::Bytes{*process.log_stderr};
    return object;
}

std::vector<proto::ProcessObject> process_objects(const core::Supervisor& core,
                                                  const std::vector<core::ProcessId>& ids, core::Now now) {
    std::vector<proto::ProcessObject> objects;
    objects.reserve(ids.size());
    for (const core::ProcessId id : ids)
        if (const core::Process* process = core.find(id))
            objects.push_back(process_object(core, *process, now));
    return objects;
}

proto::WireError refuse(proto::ErrorKind kind, std::string message) {
    return proto::WireError{kind, std::move(message), proto::OrderedJson::object()};
}

proto::WireError wire_error(const core::Refusal& refusal) {
    proto::WireError error = refuse(kind_of(refusal.kind), refusal.message);
    if (!refusal.candidates.empty()) error.details["candidates"] = refusal.candidates;
    if (!refusal.missing.empty()) {
        auto& missing = error.details["missing"] = proto::OrderedJson::array();
        for (const auto& one : refusal.missing)
            std::visit([&](const auto& value) { missing.push_back(value); }, one);
    }
    if (refusal.error != 0) error.details["errno"] = refusal.error;
    return error;
}

namespace {

// What the step that failed was about: the directory, the file of a standard stream, else the program.
std::string subject_of(const core::Process& process, const core::LaunchFailure& failure) {
    if (failure.stage == "chdir") return process.cwd;
    constexpr std::array k_opens{"open stdin", "open stdout", "open stderr"};
    for (std::size_t stream = 0; process.spec && stream < k_opens.size(); ++stream) {
        if (failure.stage != k_opens[stream]) continue;
        if (const auto* file = std::get_if<core::ToFile>(&process.spec->stdio[stream])) return file->path;
    }
    return process.command.empty() ? process.name : process.command.front();
}

}  // namespace

proto::WireError wire_error(const core::Process& process, const core::LaunchFailure& failure) {
    const std::string why =
        failure.killed ? "ended by a signal before it could" : std::generic_category().message(failure.error);
    proto::WireError error =
        refuse(proto::ErrorKind::exec_failed, "cannot start " + process.name + ": " + failure.stage + " " +
                                                  subject_of(process, failure) + ": " + why);
    error.details["stage"] = failure.stage;
    error.details["errno"] = failure.error;
    return error;
}

std::variant<core::OwnerKey, proto::WireError> owner_key(Call& call, const proto::OwnerRef& owner,
                                                         const char* path) {
    using Kind = proto::OwnerRef::Kind;
    const core::OwnerKey nobody{core::OwnerKind::pid, 0};
    switch (owner.kind) {
        case Kind::connection:
            return core::OwnerKey{core::OwnerKind::connection, call.peer.connection};
        case Kind::procd:
            return core::OwnerKey{core::OwnerKind::procd,
                                  call.host.self().uid == 0 ? call.peer.uid : call.host.self().uid};
        case Kind::enclosing:
            if (!call.caller().enclosing)
                return refuse(proto::ErrorKind::bad_request,
                              std::string(path) + ": \"process\" means the enclosing one, and there is none");
            return core::OwnerKey{core::OwnerKind::process,
                                  static_cast<std::uint64_t>(*call.caller().enclosing)};
        case Kind::process:
            return core::OwnerKey{core::OwnerKind::process, static_cast<std::uint64_t>(owner.number)};
        case Kind::session: {
            const auto number = proto::session_number(owner.session);
            if (!number) return nobody;
            return core::OwnerKey{core::OwnerKind::session, static_cast<std::uint64_t>(*number)};
        }
        case Kind::pid: {
            const auto watched = call.host.watch_pid(owner.number);
            if (!watched) return wire_error(watched.refusal());
            if (!*watched) return nobody;
            call.watched.push_back((*watched)->number);
            return core::OwnerKey{core::OwnerKind::pid, (*watched)->number};
        }
        case Kind::pidfd:
            break;
    }
    const auto index = static_cast<std::size_t>(owner.number);
    if (index >= call.descriptors.size())
        return refuse(proto::ErrorKind::bad_request, std::string(path) + ".pidfd: no descriptor " +
                                                         std::to_string(index) + " came with the request");
    const auto watched = call.host.watch_pidfd(call.descriptors[index]);
    if (!watched) return wire_error(watched.refusal());
    if (!*watched) return nobody;
    call.watched.push_back((*watched)->number);
    return core::OwnerKey{core::OwnerKind::pid, (*watched)->number};
}

namespace {

constexpr std::size_t k_most_selectors = 16384;  // of one request, which one turn of the loop works off

// For procd's log: "3 (foo), 4 (bar)", cut where there are many.
void note(Call& call, core::ProcessId id) {
    constexpr std::size_t k_enough = 200;
    if (call.about.size() > k_enough) {
        if (!call.about.ends_with("…")) call.about += ", …";
        return;
    }
    if (!call.about.empty()) call.about += ", ";
    call.about += std::to_string(id) + " (" + call.core.find(id)->name + ")";
}

std::variant<core::Selector, proto::WireError> selector_of(Call& call, const proto::Selector& selector,
                                                           const std::string& path) {
    core::Selector result{selector.id, selector.name, std::nullopt};
    if (!selector.owner) return result;
    auto key = owner_key(call, *selector.owner, (path + ".owner").c_str());
    if (auto* error = std::get_if<proto::WireError>(&key)) return std::move(*error);
    result.scope = std::get<core::OwnerKey>(key);
    return result;
}

}  // namespace

std::variant<core::ProcessId, proto::WireError> resolve_one(Call& call, const proto::Selector& selector,
                                                            core::Want want) {
    auto wanted = selector_of(call, selector, "params.process");
    if (auto* error = std::get_if<proto::WireError>(&wanted)) return std::move(*error);
    const auto found = core::resolve(call.core, call.caller(), std::get<core::Selector>(wanted), want);
    if (!found) return wire_error(found.refusal());
    note(call, *found);
    return *found;
}

std::variant<std::vector<core::ProcessId>, proto::WireError> resolve_many(
    Call& call, const std::vector<proto::Selector>& selectors, core::Want want) {
    if (selectors.size() > k_most_selectors)
        return refuse(proto::ErrorKind::limit,
                      "params.processes: more than " + std::to_string(k_most_selectors));
    std::vector<core::Selector> wanted;
    wanted.reserve(selectors.size());
    for (const proto::Selector& selector : selectors) {
        auto one = selector_of(call, selector, "params.processes[" + std::to_string(wanted.size()) + "]");
        if (auto* error = std::get_if<proto::WireError>(&one)) return std::move(*error);
        wanted.push_back(std::move(std::get<core::Selector>(one)));
    }
    auto found = core::resolve_all(call.core, call.caller(), wanted, want);
    if (!found) return wire_error(found.refusal());
    for (const core::ProcessId id : *found) note(call, id);
    return std::move(*found);
}

}  // namespace procd::api
