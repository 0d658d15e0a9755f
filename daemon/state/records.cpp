#include "daemon/state/records.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "daemon/state/messages.hpp"
#include "daemon/state/reading.hpp"
#include "proto/text.hpp"

namespace procd::state {
namespace {

std::int64_t ticks(core::Duration duration) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(duration).count();
}
core::Duration duration(std::int64_t nanoseconds) {
    return std::chrono::duration_cast<core::Duration>(std::chrono::nanoseconds(nanoseconds));
}
std::int64_t ticks(core::Mono at) {
    return ticks(at.time_since_epoch());
}
std::int64_t ticks(core::Wall at) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}
core::Mono mono(std::int64_t at) {
    return core::Mono(duration(at));
}
core::Wall wall(std::int64_t at) {
    return core::Wall(std::chrono::duration_cast<core::Wall::duration>(std::chrono::nanoseconds(at)));
}

template <class T>
std::optional<T> unless_zero(T value) {
    return value == T{} ? std::nullopt : std::optional<T>(std::move(value));
}
std::optional<std::int64_t> unless_zero(std::uint64_t value) {
    return value == 0 ? std::nullopt : std::optional<std::int64_t>(static_cast<std::int64_t>(value));
}
template <class T>
std::uint64_t unsigned_of(const std::optional<T>& value) {
    return static_cast<std::uint64_t>(value.value_or(0));
}

// ---- owners ----------------------------------------------------------------------------------------------

OwnerText owner_text(const core::OwnerKey& key, const core::OwnerFacts& facts) {
    OwnerText text;
    text.kind = key.kind;
    text.number = unless_zero(key.number);
    text.pid = unless_zero(facts.pid);
    text.comm = unless_zero(facts.comm);
    text.start_time = unless_zero(facts.start_time);
    return text;
}
core::OwnerKey key_of(const OwnerText& text) {
    return {text.kind, unsigned_of(text.number)};
}
core::OwnerFacts facts_of(const OwnerText& text) {
    return {text.pid.value_or(0), text.comm.value_or(""), unsigned_of(text.start_time)};
}

// ---- lives -----------------------------------------------------------------------------------------------

LifeText life_text(const core::LifeRecord& life) {
    LifeText text;
    text.phase = life.phase;
    text.main_alive = unless_zero(life.main_alive);
    text.end_wanted = unless_zero(life.end_wanted);
    text.kill_wanted = unless_zero(life.kill_wanted);
    text.linger_over = unless_zero(life.linger_over);
    text.grace = ticks(life.grace);
    text.keep_leftovers = unless_zero(life.keep_leftovers);
    if (life.retry != core::k_first_retry) text.retry = ticks(life.retry);
    if (life.deadline) text.deadline = ticks(*life.deadline);
    text.leftovers = unless_zero(static_cast<std::uint64_t>(life.leftovers));
    return text;
}

core::LifeRecord life_of(const LifeText& text) {
    core::LifeRecord life;
    life.phase = text.phase;
    life.main_alive = text.main_alive.value_or(false);
    life.end_wanted = text.end_wanted.value_or(false);
    life.kill_wanted = text.kill_wanted.value_or(false);
    life.linger_over = text.linger_over.value_or(false);
    life.grace = duration(text.grace);
    life.keep_leftovers = text.keep_leftovers.value_or(false);
    if (text.retry) life.retry = duration(*text.retry);
    if (text.deadline) life.deadline = mono(*text.deadline);
    life.leftovers = static_cast<std::size_t>(unsigned_of(text.leftovers));
    return life;
}

EndingText ending_text(const core::Ending& ending) {
    EndingText text;
    text.how = ending.exit.how;
    text.code = unless_zero(static_cast<std::int64_t>(ending.exit.code));
    text.signal = unless_zero(static_cast<std::int64_t>(ending.exit.signal));
    text.core = unless_zero(ending.exit.core);
    text.cause = ending.cause;
    text.leftovers = unless_zero(static_cast<std::uint64_t>(ending.leftovers));
    return text;
}

core::Ending ending_of(const EndingText& text) {
    core::Ending ending;
    ending.exit.how = text.how;
    ending.exit.code = static_cast<int>(text.code.value_or(0));
    ending.exit.signal = static_cast<int>(text.signal.value_or(0));
    ending.exit.core = text.core.value_or(false);
    ending.cause = text.cause;
    ending.leftovers = static_cast<std::size_t>(unsigned_of(text.leftovers));
    return ending;
}

// ---- specifications --------------------------------------------------------------------------------------

StreamText stream_text(const core::StreamTarget& target) {
    StreamText text;
    text.to = static_cast<StreamKind>(target.index());
    if (const auto* file = std::get_if<core::ToFile>(&target)) {
        text.file = proto::Bytes{file->path};
        text.append = unless_zero(file->append);
    }
    return text;
}

core::StreamTarget stream_of(const StreamText& text) {
    switch (text.to) {
        case StreamKind::null:
            return core::ToNull{};
        case StreamKind::log:
            return core::ToLog{};
        case StreamKind::as_stdout:
            return core::ToStdout{};
        case StreamKind::separate:
            return core::ToOwnLog{};
        case StreamKind::descriptor:
            return core::ToDescriptor{nullptr};
        case StreamKind::file:
            return core::ToFile{text.file.value_or(proto::Bytes{}).value, text.append.value_or(false)};
        case StreamKind::owners:
            break;
    }
    return core::ToOwners{};
}

SpecText spec_text(const core::LaunchSpec& spec) {
    SpecText text;
    if (spec.cwd) text.cwd = proto::Bytes{*spec.cwd};
    if (spec.env) text.env = proto::Environment{*spec.env};
    text.umask = proto::Umask{spec.umask};
    for (const core::ResourceLimit& limit : spec.limits)
        text.limits.push_back({limit.name, static_cast<std::int64_t>(limit.soft),
                               static_cast<std::int64_t>(limit.hard), limit.inherited});
    for (const core::StreamTarget& target : spec.stdio) text.stdio.push_back(stream_text(target));
    const auto is_descriptor = [](const auto& to) { return std::holds_alternative<core::ToDescriptor>(to); };
    text.descriptors = unless_zero(spec.lost_descriptors || spec.terminal || !spec.descriptors.empty() ||
                                   std::any_of(spec.stdio.begin(), spec.stdio.end(), is_descriptor));
    text.uid = spec.identity.uid;
    text.gid = spec.identity.gid;
    text.groups.assign(spec.identity.groups.begin(), spec.identity.groups.end());
    text.no_new_privs = unless_zero(spec.identity.no_new_privs);
    return text;
}

std::shared_ptr<core::LaunchSpec> spec_of(const SpecText& text) {
    auto spec = std::make_shared<core::LaunchSpec>();
    if (text.cwd) spec->cwd = text.cwd->value;
    if (text.env) spec->env = text.env->entries;
    spec->umask = text.umask.value;
    for (const LimitText& limit : text.limits)
        spec->limits.push_back({limit.name, static_cast<std::uint64_t>(limit.soft),
                                static_cast<std::uint64_t>(limit.hard), limit.inherited});
    for (std::size_t stream = 0; stream < spec->stdio.size() && stream < text.stdio.size(); ++stream)
        spec->stdio[stream] = stream_of(text.stdio[stream]);
    spec->lost_descriptors = text.descriptors.value_or(false);
    spec->identity = {
        text.uid, text.gid, {text.groups.begin(), text.groups.end()}, text.no_new_privs.value_or(false)};
    return spec;
}

// ---- processes -------------------------------------------------------------------------------------------

std::optional<LogText> log_text(const core::LogSpec& log) {
    LogText text;
    if (log.via != core::LogVia::file) text.via = log.via;
    if (log.max) text.max = static_cast<std::int64_t>(*log.max);
    if (log.keep) text.keep = *log.keep;
    text.retain = unless_zero(log.retain);
    const bool is_default = !text.via && !text.max && !text.keep && !text.retain;
    return is_default ? std::nullopt : std::optional(text);
}

core::LogSpec log_of(const LogText& text) {
    core::LogSpec log;
    log.via = text.via.value_or(core::LogVia::file);
    if (text.max) log.max = static_cast<std::uint64_t>(*text.max);
    log.keep = text.keep;
    log.retain = text.retain.value_or(false);
    return log;
}

ProcessText process_text(const core::Process& process) {
    ProcessText text;
    text.id = process.id;
    text.uid = process.uid;
    text.name = process.name;
    text.identity = process.identity;
    text.daemon = unless_zero(process.daemon);
    text.unique = unless_zero(process.unique);
    text.owner = owner_text(process.owner, process.owner_facts);
    text.was = process.was;
    text.life = life_text(process.life.record());
    if (process.kill_mode != core::KillMode::group) text.kill_mode = process.kill_mode;
    for (const std::string& word : process.command) text.command.push_back({word});
    text.cwd = {process.cwd};
    // Once it is being started nobody starts it again. (Its descriptors are the snapshot's business.)
    if (process.spec && !process.started_or_starting()) text.spec = spec_text(*process.spec);
    for (std::size_t stream = 0; stream < process.streams_of.size(); ++stream)
        if (process.streams_of[stream])
            text.streams_of.push_back({static_cast<std::int64_t>(stream), *process.streams_of[stream]});
    text.pid = unless_zero(process.pid);
    text.start_time = unless_zero(process.start_time);
    if (process.log) text.log = proto::Bytes{*process.log};
    if (process.log_stderr) text.log_stderr = proto::Bytes{*process.log_stderr};
    text.log_spec = log_text(process.log_spec);
    text.output = process.output;
    text.created = ticks(process.created);
    if (process.started) {
        text.started = ticks(*process.started);
        text.started_mono = ticks(process.started_mono);
    }
    if (process.ended) {
        text.ended = ticks(*process.ended);
        text.ended_mono = ticks(process.ended_mono);
    }
    if (process.ending) text.ending = ending_text(*process.ending);
    text.end_cause = process.end_cause;
    text.signals_sent.assign(process.signals_sent.begin(), process.signals_sent.end());
    text.spawn = unless_zero(process.spawn && !process.started);
    return text;
}

core::Process process_of(const ProcessText& text) {
    core::Process process;
    process.id = text.id;
    process.uid = text.uid;
    process.name = text.name;
    process.identity = text.identity;
    process.daemon = text.daemon.value_or(false);
    process.unique = text.unique.value_or(false);
    process.owner = key_of(text.owner);
    process.owner_facts = facts_of(text.owner);
    process.was = text.was;
    process.life = core::Life(life_of(text.life));
    process.kill_mode = text.kill_mode.value_or(core::KillMode::group);
    for (const proto::Bytes& word : text.command) process.command.push_back(word.value);
    process.cwd = text.cwd.value;
    if (text.log_spec) process.log_spec = log_of(*text.log_spec);
    for (const LentText& lent : text.streams_of)
        if (lent.stream >= 0 && lent.stream < 3)
            process.streams_of[static_cast<std::size_t>(lent.stream)] = lent.session;
    if (text.spec) {
        auto spec = spec_of(*text.spec);
        spec->command = process.command;
        spec->streams_of = process.streams_of;
        spec->log = process.log_spec;
        process.spec = std::move(spec);
    }
    process.pid = text.pid.value_or(0);
    process.start_time = unsigned_of(text.start_time);
    if (text.log) process.log = text.log->value;
    if (text.log_stderr) process.log_stderr = text.log_stderr->value;
    process.output = text.output;
    process.created = wall(text.created);
    if (text.started) process.started = wall(*text.started);
    process.started_mono = mono(text.started_mono.value_or(0));
    if (text.ended) process.ended = wall(*text.ended);
    process.ended_mono = mono(text.ended_mono.value_or(0));
    if (text.ending) process.ending = ending_of(*text.ending);
    process.end_cause = text.end_cause;
    process.signals_sent.insert(text.signals_sent.begin(), text.signals_sent.end());
    process.spawn = text.spawn.value_or(false);
    return process;
}

// What the core takes for granted of a process in each phase.
std::optional<std::string> contradiction(const core::Process& process) {
    using core::Phase;
    const Phase phase = process.life.phase();
    const bool ended = phase == Phase::exited || phase == Phase::lingering || phase == Phase::kept;
    if (process.id <= 0) return "process.id: expected an id";
    if (process.name.empty()) return "process.name: is empty";
    if (process.command.empty()) return "process.command: is empty";
    if (ended && (process.alive() || !process.ending)) return "process.life: has ended, and does not say how";
    if (phase == Phase::initial && !process.spec) return "process.spec: is missing";
    if (process.alive() && process.ending) return "process.life: lives, and says how it ended";
    return std::nullopt;
}

OwnerRecord owner_record(const core::Owner& owner) {
    OwnerRecord text;
    text.owner = owner_text(owner.key, owner.facts);
    text.uid = owner.uid;
    text.ending = unless_zero(owner.ending);
    text.ended = unless_zero(owner.ended);
    text.constructions = static_cast<std::int64_t>(owner.constructions);
    return text;
}

}  // namespace

std::string text_of(const core::Process& process) {
    return proto::text_of(process_text(process));
}

std::string text_of(const core::Owner& owner) {
    return proto::text_of(owner_record(owner));
}

std::variant<core::Process, Unreadable> process_from(std::string_view json) {
    auto text = read_text<ProcessText>(json, "process");
    if (auto* problem = std::get_if<Unreadable>(&text)) return std::move(*problem);
    core::Process process = process_of(std::get<ProcessText>(text));
    if (auto problem = contradiction(process)) return Unreadable{std::move(*problem)};
    return process;
}

std::variant<core::Owner, Unreadable> owner_from(std::string_view json) {
    auto text = read_text<OwnerRecord>(json, "owner");
    if (auto* problem = std::get_if<Unreadable>(&text)) return std::move(*problem);
    const auto& record = std::get<OwnerRecord>(text);
    core::Owner owner;
    owner.key = key_of(record.owner);
    owner.facts = facts_of(record.owner);
    owner.uid = record.uid;
    owner.ended = record.ended.value_or(false);
    owner.ending = record.ending.value_or(owner.ended);
    owner.constructions = static_cast<std::uint64_t>(record.constructions);
    return owner;
}

}  // namespace procd::state
