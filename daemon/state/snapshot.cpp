#include "daemon/state/snapshot.hpp"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "daemon/state/journal_text.hpp"
#include "daemon/state/reading.hpp"
#include "daemon/state/records.hpp"
#include "proto/text.hpp"

namespace procd::state {
namespace {

constexpr std::string_view k_instance_key = "instance";
constexpr std::string_view k_closed = "closed.";

// Each list with the first part of its keys. What comes after it only tells the lines apart.
void for_each_list(auto& snapshot, auto&& visit) {
    visit("connection.", snapshot.connections);
    visit("session.", snapshot.sessions);
    visit("wait.", snapshot.waits);
    visit("deferred.", snapshot.deferred);
    visit("subscriber.", snapshot.subscribers);
    visit("event.", snapshot.events);
    visit("log.", snapshot.logs);
    visit("child.", snapshot.children);
    visit("descriptors.", snapshot.descriptors);
}

// Lines come back in the order of their keys as text: the order of a list must survive that.
std::string numbered(std::string_view prefix, std::size_t number) {
    std::string digits = std::to_string(number);
    return std::string(prefix) + std::string(12 - std::min<std::size_t>(12, digits.size()), '0') + digits;
}

}  // namespace

std::string text_of(const Snapshot& snapshot) {
    std::string text = header_line({}) + numbers_line(snapshot.saved.next_id, snapshot.saved.next_session);
    text += line(k_instance_key, proto::text_of(snapshot.instance));
    for (const core::Owner& owner : snapshot.saved.owners) text += owner_line(owner);
    for (const core::Process& process : snapshot.saved.processes) text += process_line(process);
    for (const core::Process& process : snapshot.closed)
        text += line(std::string(k_closed) + std::to_string(process.id), text_of(process));
    for_each_list(snapshot, [&](std::string_view prefix, const auto& list) {
        for (std::size_t i = 0; i < list.size(); ++i)
            text += line(numbered(prefix, i), proto::text_of(list[i]));
    });
    return text;
}

std::variant<Snapshot, std::string> snapshot_from(std::string_view text) {
    Journal journal = read_journal(text);
    if (!journal.header) return "it is no state of procd's";
    if (!is_readable(*journal.header))
        return "it is of version " + std::to_string(journal.header->version) +
               ", and this procd reads up to " + std::to_string(Header::k_version);
    if (journal.broken > 0)
        return std::to_string(journal.broken) + " of its lines cannot be read: " + journal.why;
    Snapshot snapshot;
    snapshot.saved = std::move(journal.saved);
    std::string problem = "it says nothing of the instance";
    const auto take = [&](auto read, auto& out) {
        if (auto* unreadable = std::get_if<Unreadable>(&read))
            problem = std::move(unreadable->why);
        else
            out = std::move(std::get<0>(read));
        return read.index() == 0;
    };
    const Lines lines = lines_of(text);
    const auto instance = lines.by_key.find(k_instance_key);
    if (instance == lines.by_key.end() ||
        !take(read_text<InstanceText>(instance->second.json, k_instance_key), snapshot.instance))
        return problem;
    bool all = true;
    for (const auto& [key, content] : lines.by_key) {
        if (key.starts_with(k_closed))
            all = all && take(process_from(content.json), snapshot.closed.emplace_back());
        for_each_list(snapshot, [&, key = key, &json = content.json](std::string_view prefix, auto& list) {
            using Text = typename std::remove_reference_t<decltype(list)>::value_type;
            if (key.starts_with(prefix)) all = all && take(read_text<Text>(json, key), list.emplace_back());
        });
    }
    if (!all) return problem;
    return snapshot;
}

}  // namespace procd::state
