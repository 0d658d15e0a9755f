#include "daemon/state/journal_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <utility>

#include "base/fnv.hpp"
#include "daemon/state/messages.hpp"
#include "daemon/state/reading.hpp"
#include "daemon/state/records.hpp"
#include "proto/text.hpp"

namespace procd::state {
namespace {

constexpr std::string_view k_header_key = "journal";
constexpr std::string_view k_numbers_key = "numbers";
constexpr std::size_t k_digits = 16;

std::string checked(std::string_view content) {
    std::array<char, k_digits + 1> digits{};
    std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(fnv1a(content)));
    std::string text(digits.data(), k_digits);
    text += ' ';
    text += content;
    text += '\n';
    return text;
}

// A number as wide as any.
std::string wide(std::int64_t number) {
    std::array<char, 24> digits{};
    std::snprintf(digits.data(), digits.size(), "%019lld", static_cast<long long>(number));
    return digits.data();
}

template <class Number>
std::optional<Number> number_of(std::string_view text, int base = 10) {
    Number number{};
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
    return number;
}

struct HeaderText {
    std::int32_t version = 0, readable_by = 0;
    std::string boot, group, unwritten, unwritten_session;
    static void fields(auto& self, auto&& field) {
        field("version", self.version, "");
        field("readable_by", self.readable_by, "");
        field("boot", self.boot, "");
        field("group", self.group, "");
        field("unwritten", self.unwritten, "");
        field("unwritten_session", self.unwritten_session, "");
    }
};

struct NumbersText {
    std::int64_t ids = 1, sessions = 1;
    static void fields(auto& self, auto&& field) {
        field("ids", self.ids, "");
        field("sessions", self.sessions, "");
    }
};

std::optional<Header> header_of(std::string_view json) {
    const auto read = read_text<HeaderText>(json, k_header_key);
    const auto* text = std::get_if<HeaderText>(&read);
    if (!text) return std::nullopt;
    return Header{text->version,
                  text->readable_by,
                  text->boot,
                  text->group,
                  number_of<core::ProcessId>(text->unwritten).value_or(0),
                  number_of<core::SessionId>(text->unwritten_session).value_or(0)};
}

// What the newest such line says; none, or one that cannot be read: as from the start.
NumbersText numbers_of(const Lines& lines) {
    const auto found = lines.by_key.find(k_numbers_key);
    if (found == lines.by_key.end()) return {};
    const auto read = read_text<NumbersText>(found->second.json, k_numbers_key);
    const auto* numbers = std::get_if<NumbersText>(&read);
    return numbers ? *numbers : NumbersText{};
}

// What a line says behind its checksum, without the newline. None: it is torn, or was never one.
std::optional<std::string_view> checked_content(std::string_view line) {
    if (line.size() <= k_digits + 2 || !line.ends_with('\n') || line[k_digits] != ' ') return std::nullopt;
    const std::string_view content = line.substr(k_digits + 1, line.size() - k_digits - 2);
    if (number_of<std::uint64_t>(line.substr(0, k_digits), 16) != fnv1a(content)) return std::nullopt;
    return content;
}

void count_broken(Journal& journal, const Unreadable& problem) {
    if (journal.broken++ == 0) journal.why = problem.why;
}

}  // namespace

std::string line(std::string_view key, std::string_view json) {
    std::string content(key);
    content += ' ';
    content += json;
    return checked(content);
}

std::string forgotten(std::string_view key) {
    return checked(key);
}

std::string header_line(const Header& header) {
    return line(k_header_key,
                proto::text_of(HeaderText{header.version, header.readable_by, header.boot_id, header.group,
                                          wide(header.unwritten), wide(header.unwritten_session)}));
}

std::string process_line(const core::Process& process) {
    return line(key_of(process.id), text_of(process));
}

std::string owner_line(const core::Owner& owner) {
    return line(key_of(owner.key), text_of(owner));
}

std::string numbers_line(core::ProcessId next_id, core::SessionId next_session) {
    return line(k_numbers_key, proto::text_of(NumbersText{next_id, next_session}));
}

std::string key_of(core::ProcessId id) {
    return "p" + std::to_string(id);
}

std::string key_of(const core::OwnerKey& owner) {
    return "o" + std::string(proto::enum_text(owner.kind)) + "." + std::to_string(owner.number);
}

Lines lines_of(std::string_view text) {
    Lines lines;
    bool last_is_broken = false;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        const std::string_view whole = text.substr(0, end == std::string_view::npos ? end : end + 1);
        text.remove_prefix(whole.size());
        const auto content = checked_content(whole);
        last_is_broken = !content;
        if (last_is_broken) {
            ++lines.broken;
            continue;
        }
        const std::size_t space = content->find(' ');
        const std::string_view key = content->substr(0, space);
        if (key.starts_with('p'))
            lines.newest_id =
                std::max(lines.newest_id, number_of<core::ProcessId>(key.substr(1)).value_or(0));
        if (space == std::string_view::npos)
            lines.by_key.erase(key);
        else
            lines.by_key.insert_or_assign(key, Lines::Content{whole, content->substr(space + 1)});
    }
    lines.torn = lines.broken == 1 && last_is_broken;
    return lines;
}

std::string compacted(std::string_view text) {
    const Lines lines = lines_of(text);
    std::string result;
    const auto header = lines.by_key.find(k_header_key);
    if (header != lines.by_key.end()) result += header->second.line;
    // What is forgotten leaves no line behind, and yet its id is not given out again.
    const NumbersText numbers = numbers_of(lines);
    result += numbers_line(std::max(numbers.ids, lines.newest_id + 1), numbers.sessions);
    for (const auto& [key, content] : lines.by_key)
        if (key != k_header_key && key != k_numbers_key) result += content.line;
    return result;
}

bool is_readable(const Header& header) {
    return header.readable_by <= Header::k_version;
}

Journal read_journal(std::string_view text) {
    Journal journal;
    const Lines lines = lines_of(text);
    journal.broken = lines.broken;
    journal.torn = lines.torn;
    if (lines.broken > 0) journal.why = "its checksum is wrong";
    if (const auto found = lines.by_key.find(k_header_key); found != lines.by_key.end())
        journal.header = header_of(found->second.json);
    if (journal.header && !is_readable(*journal.header)) return journal;
    core::Saved& saved = journal.saved;
    const NumbersText numbers = numbers_of(lines);
    saved.next_id = std::max(lines.newest_id + 1, numbers.ids);
    saved.next_session = numbers.sessions;
    if (journal.header) {
        saved.next_id = std::max(saved.next_id, journal.header->unwritten + 1);
        saved.next_session = std::max(saved.next_session, journal.header->unwritten_session + 1);
    }
    for (const auto& [key, content] : lines.by_key) {
        if (key.starts_with('p')) {
            auto process = process_from(content.json);
            if (auto* problem = std::get_if<Unreadable>(&process))
                count_broken(journal, *problem);
            else
                saved.processes.push_back(std::move(std::get<core::Process>(process)));
        } else if (key.starts_with('o')) {
            auto owner = owner_from(content.json);
            if (auto* problem = std::get_if<Unreadable>(&owner))
                count_broken(journal, *problem);
            else
                saved.owners.push_back(std::move(std::get<core::Owner>(owner)));
        }
    }
    return journal;
}

}  // namespace procd::state
