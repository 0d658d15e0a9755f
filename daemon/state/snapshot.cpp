#include "daemon/state/snapshot.hpp"

#include <algorithm>
#include <utility>

#include "daemon/state/journal_text.hpp"
#include "daemon/state/records.hpp"
#include "proto/json.hpp"

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

template <class Text>
void decode_into(std::string_view json, Text& out, std::string_view key) {
    proto::decode(proto::Json::parse(json), out, proto::Path{nullptr, key, std::nullopt},
                  proto::Unknown::ignore);
}

}  // namespace

std::string text_of(const Snapshot& snapshot) {
    std::string text = header_line({}) + numbers_line(snapshot.saved.next_id, snapshot.saved.next_session);
    text += line(k_instance_key, proto::dump(proto::encode(snapshot.instance)));
    for (const core::Owner& owner : snapshot.saved.owners) text += line(key_of(owner.key), text_of(owner));
    for (const core::Process& process : snapshot.saved.processes)
        text += line(key_of(process.id), text_of(process));
    for (const core::Process& process : snapshot.closed)
        text += line(std::string(k_closed) + std::to_string(process.id), text_of(process));
    for_each_list(snapshot, [&](std::string_view prefix, const auto& list) {
        for (std::size_t i = 0; i < list.size(); ++i)
            text += line(numbered(prefix, i), proto::dump(proto::encode(list[i])));
    });
    return text;
}

std::variant<Snapshot, std::string> snapshot_from(std::string_view text) try {
    Journal journal = read_journal(text);
    if (!journal.header) return "it is no state of procd's";
    if (!is_readable(*journal.header))
        return "it is of version " + std::to_string(journal.header->version) +
               ", and this procd reads up to " + std::to_string(Header::k_version);
    if (journal.broken > 0)
        return std::to_string(journal.broken) + " of its lines cannot be read: " + journal.why;
    Snapshot snapshot;
    snapshot.saved = std::move(journal.saved);
    bool has_instance = false;
    for (const auto& [key, content] : lines_of(text).by_key) {
        if (key == k_instance_key) {
            decode_into(content.json, snapshot.instance, key);
            has_instance = true;
        } else if (key.starts_with(k_closed)) {
            auto process = process_from(content.json);
            if (auto* problem = std::get_if<Unreadable>(&process)) return std::move(problem->why);
            snapshot.closed.push_back(std::move(std::get<core::Process>(process)));
        }
        for_each_list(snapshot, [&, key = key, &json = content.json](std::string_view prefix, auto& list) {
            if (key.starts_with(prefix)) decode_into(json, list.emplace_back(), key);
        });
    }
    if (!has_instance) return "it says nothing of the instance";
    return snapshot;
} catch (const std::exception& problem) {
    return problem.what();
}

}  // namespace procd::state
