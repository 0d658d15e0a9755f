#include "client/procctl/render.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "client/procctl/text.hpp"
#include "proto/signals.hpp"

namespace procctl {
namespace {

namespace proto = procd::proto;

constexpr std::array<const char*, 10> k_headings{"ID",     "NAME",  "PID",    "STATE", "EXIT",
                                                 "DAEMON", "OWNER", "UPTIME", "FATE",  "COMMAND"};
constexpr std::size_t k_state_column = 3;
using Row = std::array<std::string, k_headings.size()>;

template <class T>
std::string number_or_dash(const std::optional<T>& value) {
    return value ? std::to_string(*value) : "-";
}

const char* yes_no(bool value) {
    return value ? "yes" : "no";
}

const char* colour_of(const proto::ProcessObject& process) {
    switch (process.state) {
        case proto::State::initial:
            return "\033[36m";
        case proto::State::running:
            return "\033[32m";
        case proto::State::stopping:
            return "\033[33m";
        case proto::State::exited:
            break;
    }
    return process.exitcode == 0 ? "\033[2m" : "\033[31m";
}

std::string cause_text(proto::Cause cause) {
    switch (cause) {
        case proto::Cause::self:
            return "";
        case proto::Cause::client:
            return ", wanted by a client";
        case proto::Cause::owner:
            return ", because its owner ended";
        case proto::Cause::shutdown:
            return ", because procd stopped";
        case proto::Cause::limit:
            return ", because of a limit";
    }
    return "";
}

Row row_of(const proto::ProcessObject& process) {
    return {std::to_string(process.id),
            escaped(process.name),
            number_or_dash(process.pid),
            std::string(proto::enum_text(process.state)),
            number_or_dash(process.exitcode),
            yes_no(process.daemon),
            owner_text(process.owner),
            process.uptime ? duration_text(*process.uptime) : "-",
            escaped(process.fate),
            command_text(process.command)};
}

// One line: columns padded to their widths, the last one as it is; the state in its colour.
std::string line_of(const Row& row, const std::array<std::size_t, k_headings.size()>& widths,
                    const TableStyle& style, const char* colour) {
    std::string line;
    std::size_t state_at = 0;
    for (std::size_t i = 0; i < row.size(); ++i) {
        if (i == k_state_column) state_at = line.size();
        line += row[i];
        if (i + 1 < row.size()) line.append(widths[i] - display_width(row[i]) + 2, ' ');
    }
    if (style.columns) line = cut_to(line, *style.columns);
    if (style.colour && colour != nullptr && state_at < line.size()) {
        const std::size_t length = std::min(row[k_state_column].size(), line.size() - state_at);
        line.insert(state_at + length, "\033[0m");
        line.insert(state_at, colour);
    }
    return line + '\n';
}

}  // namespace

std::string owner_text(const proto::OwnerObject& owner) {
    const auto peer = [&] {
        if (!owner.pid) return std::string("a process that ended");
        return owner.comm ? escaped(*owner.comm) + "[" + std::to_string(*owner.pid) + "]"
                          : "pid " + std::to_string(*owner.pid);
    };
    std::string text;
    switch (owner.kind) {
        case proto::OwnerKind::connection:
            text = "connection";
            break;
        case proto::OwnerKind::session:
            text = "session " + escaped(owner.session.value_or("-"));
            break;
        case proto::OwnerKind::process:
            text = "process " + number_or_dash(owner.process);
            break;
        case proto::OwnerKind::pid:
            text = peer();
            break;
        case proto::OwnerKind::procd:
            text = "procd";
            break;
    }
    if (owner.was) text += " (was " + escaped(*owner.was) + ")";
    return text;
}

std::string duration_text(double seconds) {
    std::array<char, 64> text{};
    const auto whole = static_cast<long long>(std::clamp(seconds, 0.0, 1e15));
    const auto print = [&](const char* format, auto... values) {
        std::snprintf(text.data(), text.size(), format, values...);
        return std::string(text.data());
    };
    if (whole < 10) return print("%.1fs", std::floor(std::clamp(seconds, 0.0, 10.0) * 10) / 10);
    if (whole < 60) return print("%llds", whole);
    if (whole < 3600) return print("%lldm%02llds", whole / 60, whole % 60);
    if (whole < 86400) return print("%lldh%02lldm", whole / 3600, whole / 60 % 60);
    return print("%lldd%02lldh", whole / 86400, whole / 3600 % 24);
}

std::string result_text(const proto::ResultObject& result) {
    std::string text;
    switch (result.how) {
        case proto::How::exited:
            text = "exited " + number_or_dash(result.code);
            break;
        case proto::How::signaled:
            text = "killed by " +
                   (result.signal ? proto::signal_name(static_cast<int>(*result.signal)) : "a signal");
            if (result.core) text += " (core dumped)";
            break;
        case proto::How::exec_failed:
            text = "could not be started";
            break;
        case proto::How::lost:
            text = "lost: it ended while no procd was there to see how";
            break;
    }
    text += cause_text(result.cause);
    if (result.leftovers > 0) text += "; " + std::to_string(result.leftovers) + " left behind, ended";
    return text;
}

std::string launched_text(const proto::ProcessObject& process) {
    std::string text = escaped(process.name) + ": ";
    text += process.pid ? "pid " + std::to_string(*process.pid) : std::string("created");
    text += process.daemon ? "; daemon of " : "; owned by ";
    return text + owner_text(process.owner) + ": " + escaped(process.fate);
}

std::string mention(const proto::ProcessObject& process) {
    std::string text = std::to_string(process.id) + " (" + escaped(process.name) + ")";
    if (process.pid) text += ", pid " + std::to_string(*process.pid);
    return text + ": " + command_text(process.command);
}

std::string details(const proto::ProcessObject& process) {
    std::string text;
    const auto line = [&](const char* key, const std::string& value) {
        text.append(key).append(": ").append(value).append("\n");
    };
    line("id", std::to_string(process.id));
    line("name", escaped(process.name));
    line("pid", number_or_dash(process.pid));
    line("state", std::string(proto::enum_text(process.state)));
    line("alive", process.alive ? "true" : "false");
    line("exitcode", number_or_dash(process.exitcode));
    line("result", process.result ? result_text(*process.result) : "-");
    line("daemon", process.daemon ? "true" : "false");
    line("owner", owner_text(process.owner));
    line("fate", escaped(process.fate));
    line("command", command_text(process.command));
    line("cwd", escaped(process.cwd.value));
    line("uid", std::to_string(process.uid));
    line("created", escaped(process.created));
    line("started", escaped(process.started.value_or("-")));
    line("ended", escaped(process.ended.value_or("-")));
    line("uptime", process.uptime ? duration_text(*process.uptime) : "-");
    line("log", process.log ? escaped(process.log->value) : "-");
    return text;
}

std::string table(const std::vector<proto::ProcessObject>& processes, const TableStyle& style) {
    Row headings;
    std::copy(k_headings.begin(), k_headings.end(), headings.begin());
    std::vector<Row> rows;
    rows.reserve(processes.size());
    for (const auto& process : processes) rows.push_back(row_of(process));

    std::array<std::size_t, k_headings.size()> widths{};
    const auto widen = [&](const Row& row) {
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], display_width(row[i]));
    };
    widen(headings);
    for (const Row& row : rows) widen(row);

    std::string text = line_of(headings, widths, style, nullptr);
    for (std::size_t i = 0; i < rows.size(); ++i)
        text += line_of(rows[i], widths, style, colour_of(processes[i]));
    return text;
}

std::size_t keep_newest_ended(std::vector<proto::ProcessObject>& processes, std::size_t kept) {
    const auto is_ended = [](const proto::ProcessObject& process) {
        return process.state == proto::State::exited;
    };
    // RFC 3339 in UTC with a fixed number of digits: later is greater.
    const auto ended_at = [](const proto::ProcessObject& process) {
        return std::pair(process.ended.value_or(process.created), process.id);
    };
    std::vector<std::pair<std::string, std::int64_t>> ends;
    for (const auto& process : processes)
        if (is_ended(process)) ends.push_back(ended_at(process));
    if (ends.size() <= kept) return 0;
    std::sort(ends.begin(), ends.end(), std::greater<>());
    const std::size_t before = processes.size();
    std::erase_if(processes, [&](const proto::ProcessObject& process) {
        return is_ended(process) && (kept == 0 || ended_at(process) < ends[kept - 1]);
    });
    return before - processes.size();
}

std::string event_line(const proto::EventParams& event) {
    const proto::ProcessObject& process = event.process;
    std::string text = std::to_string(event.seq) + " " + escaped(event.time) + " ";
    text.append(proto::enum_text(event.type)).append(" ").append(std::to_string(process.id));
    text.append(" ").append(escaped(process.name));
    switch (event.type) {
        case proto::EventType::created:
            text += ": " + command_text(process.command);
            break;
        case proto::EventType::started:
            text += ": pid " + number_or_dash(process.pid);
            break;
        case proto::EventType::stopping:
        case proto::EventType::exited:
            if (process.result) text += ": " + result_text(*process.result);
            break;
        case proto::EventType::changed:
            text += ": " + owner_text(process.owner) + ": " + escaped(process.fate);
            break;
        case proto::EventType::closed:
            break;
    }
    return text + '\n';
}

}  // namespace procctl
