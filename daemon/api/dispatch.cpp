#include "daemon/api/dispatch.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>

#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"
#include "proto/envelope.hpp"

namespace procd::api {
namespace {

enum class Permission {
    anyone,         // of those who may speak to this procd at all
    each_own,       // likewise, and each sees only their own: who asks is looked up before
    administrator,  // root and procd's own user
};

// What a request does, as far as the order of requests and procd's log go.
enum class Nature {
    asks,        // depends on nothing that a start under way could change
    looks,       // looks at processes: waits for the starts that its connection sent before
    acts,        // changes something: told in procd's log
    acts_after,  // both
};

struct Entry {
    std::string_view method;
    Permission permission;
    Nature nature;
    RawAnswer (*run)(Call& call, const proto::Json& params);
};

template <class Method, auto handler>
RawAnswer run(Call& call, const proto::Json& params) {
    auto decoded = proto::decode_params<typename Method::Params>(params);
    if (auto* error = std::get_if<proto::WireError>(&decoded)) return std::move(*error);
    auto answer = handler(call, std::get<typename Method::Params>(decoded));
    if (auto* error = std::get_if<proto::WireError>(&answer)) return std::move(*error);
    if (auto* result = std::get_if<typename Method::Result>(&answer)) return proto::encode(*result);
    return Later{};
}

template <class Method, auto handler>
constexpr Entry entry(Permission permission, Nature nature) {
    return Entry{Method::k_name, permission, nature, &run<Method, handler>};
}

// Every method, who may call it, and what answers it.
constexpr std::array k_table{
    entry<proto::Hello, &hello>(Permission::anyone, Nature::asks),
    entry<proto::Discover, &discover>(Permission::anyone, Nature::asks),
    entry<proto::Whoami, &whoami>(Permission::each_own, Nature::asks),
    entry<proto::Create, &create>(Permission::each_own, Nature::acts),
    entry<proto::Start, &start>(Permission::each_own, Nature::acts),
    entry<proto::Spawn, &spawn>(Permission::each_own, Nature::acts),
    entry<proto::List, &list>(Permission::each_own, Nature::looks),
    entry<proto::Status, &status>(Permission::each_own, Nature::looks),
    entry<proto::Rename, &rename>(Permission::each_own, Nature::acts_after),
    entry<proto::Set, &set>(Permission::each_own, Nature::acts_after),
    entry<proto::Wait, &wait>(Permission::each_own, Nature::asks),
    entry<proto::Terminate, &terminate>(Permission::each_own, Nature::acts),
    entry<proto::Kill, &kill>(Permission::each_own, Nature::acts),
    entry<proto::Interrupt, &interrupt>(Permission::each_own, Nature::acts),
    entry<proto::SendSignal, &signal>(Permission::each_own, Nature::acts),
    entry<proto::Close, &close>(Permission::each_own, Nature::acts_after),
    entry<proto::Sentinel, &sentinel>(Permission::each_own, Nature::looks),
    entry<proto::Session, &session>(Permission::each_own, Nature::acts),
    entry<proto::SessionEnd, &session_end>(Permission::each_own, Nature::acts),
    entry<proto::Logs, &logs>(Permission::each_own, Nature::looks),
    entry<proto::Subscribe, &subscribe>(Permission::each_own, Nature::looks),
    entry<proto::Shutdown, &shutdown>(Permission::administrator, Nature::acts),
    entry<proto::Upgrade, &upgrade>(Permission::administrator, Nature::acts),
};

bool does_something(Nature nature) {
    return nature == Nature::acts || nature == Nature::acts_after;
}

const Entry* find(std::string_view method) {
    const auto found =
        std::find_if(k_table.begin(), k_table.end(), [&](const Entry& e) { return e.method == method; });
    return found == k_table.end() ? nullptr : found;
}

constexpr bool covers_all_methods() {
    return std::apply(
        [](auto... method) {
            return (std::any_of(k_table.begin(), k_table.end(),
                                [&](const Entry& e) { return e.method == decltype(method)::k_name; }) &&
                    ...);
        },
        proto::Methods{});
}
static_assert(k_table.size() == std::tuple_size_v<proto::Methods> && covers_all_methods());

bool may_call(const Call& call, Permission permission) {
    const std::uint32_t own = call.host.self().uid;
    if (call.peer.uid == 0 || call.peer.uid == own) return true;
    // What a user's own procd starts runs as that user: nobody else may ask it for anything.
    return own == 0 && permission != Permission::administrator;
}

}  // namespace

RawAnswer dispatch(Call& call, const std::string& method, const proto::Json& params) {
    const Entry* const found = find(method);
    if (!found) {
        constexpr std::size_t k_shown = 100;  // a method may be as long as a line
        return refuse(proto::ErrorKind::no_such_method, "no such method: " + method.substr(0, k_shown));
    }
    if (!may_call(call, found->permission))
        return refuse(proto::ErrorKind::not_permitted,
                      "user " + std::to_string(call.peer.uid) + " may not " + method);
    const auto problem = found->permission == Permission::each_own ? call.identify() : std::nullopt;
    RawAnswer answer = problem ? RawAnswer(wire_error(*problem)) : found->run(call, params);
    if (!does_something(found->nature)) return answer;
    std::string text =
        method + " for uid " + std::to_string(call.peer.uid) + ", pid " + std::to_string(call.peer.pid);
    if (!call.about.empty()) text += ": " + call.about;
    if (const auto* error = std::get_if<proto::WireError>(&answer)) text += ": refused: " + error->message;
    call.host.log(text);
    return answer;
}

bool looks_at_started(const std::string& method) {
    const Entry* const found = find(method);
    return found && (found->nature == Nature::looks || found->nature == Nature::acts_after);
}

bool acts(const std::string& method) {
    const Entry* const found = find(method);
    return found && does_something(found->nature);
}

std::vector<std::string> method_names() {
    std::vector<std::string> names;
    for (const Entry& e : k_table) names.emplace_back(e.method);
    return names;
}

}  // namespace procd::api
