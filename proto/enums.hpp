#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace procd::proto {

enum class State { initial, running, stopping, exited };
enum class How { exited, signaled, exec_failed, lost };
enum class Cause { self, client, owner, shutdown, limit };
enum class OwnerKind { connection, session, process, pid, procd };
enum class KillMode { group, main };
enum class Leftovers { end, keep };
enum class WaitMode { all, any };
enum class LogVia { file, pipe, journal };
enum class EventType { created, started, stopping, exited, changed, closed };

// The wire's words of an enum, in the order of its enumerators. An unknown word is an error, never the first
// one.
template <class E>
struct EnumNames;

template <>
struct EnumNames<State> {
    static constexpr std::array<std::string_view, 4> k_names{"initial", "running", "stopping", "exited"};
};
template <>
struct EnumNames<How> {
    static constexpr std::array<std::string_view, 4> k_names{"exited", "signaled", "exec_failed", "lost"};
};
template <>
struct EnumNames<Cause> {
    static constexpr std::array<std::string_view, 5> k_names{"self", "client", "owner", "shutdown", "limit"};
};
template <>
struct EnumNames<OwnerKind> {
    static constexpr std::array<std::string_view, 5> k_names{"connection", "session", "process", "pid",
                                                             "procd"};
};
template <>
struct EnumNames<KillMode> {
    static constexpr std::array<std::string_view, 2> k_names{"group", "main"};
};
template <>
struct EnumNames<Leftovers> {
    static constexpr std::array<std::string_view, 2> k_names{"end", "keep"};
};
template <>
struct EnumNames<WaitMode> {
    static constexpr std::array<std::string_view, 2> k_names{"all", "any"};
};
template <>
struct EnumNames<LogVia> {
    static constexpr std::array<std::string_view, 3> k_names{"file", "pipe", "journal"};
};
template <>
struct EnumNames<EventType> {
    static constexpr std::array<std::string_view, 6> k_names{"created", "started", "stopping",
                                                             "exited",  "changed", "closed"};
};

template <class E>
concept WireEnum = requires {
    EnumNames<E>::k_names.size();
};

template <WireEnum E>
constexpr std::string_view enum_text(E value) {
    return EnumNames<E>::k_names[static_cast<std::size_t>(value)];
}

template <WireEnum E>
constexpr std::optional<E> enum_value(std::string_view text) {
    for (std::size_t i = 0; i < EnumNames<E>::k_names.size(); ++i)
        if (EnumNames<E>::k_names[i] == text) return static_cast<E>(i);
    return std::nullopt;
}

}  // namespace procd::proto
