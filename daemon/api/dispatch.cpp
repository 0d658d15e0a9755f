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
    anyone,         // of those who may speak to this procd at all; handlers see only the caller's own processes
    administrator,  // root and procd's own user
};

struct Entry {
    std::string_view method;
    Permission permission;
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
constexpr Entry entry(Permission permission) {
    return Entry{Method::k_name, permission, &run<Method, handler>};
}

// Every method, who may call it, and what answers it.
constexpr std::array k_table{
    entry<proto::Hello, &hello>(Permission::anyone),
    entry<proto::Discover, &discover>(Permission::anyone),
    entry<proto::Whoami, &whoami>(Permission::anyone),
    entry<proto::Create, &create>(Permission::anyone),
    entry<proto::Start, &start>(Permission::anyone),
    entry<proto::Spawn, &spawn>(Permission::anyone),
    entry<proto::List, &list>(Permission::anyone),
    entry<proto::Status, &status>(Permission::anyone),
    entry<proto::Rename, &rename>(Permission::anyone),
    entry<proto::Set, &set>(Permission::anyone),
    entry<proto::Wait, &wait>(Permission::anyone),
    entry<proto::Terminate, &terminate>(Permission::anyone),
    entry<proto::Kill, &kill>(Permission::anyone),
    entry<proto::Interrupt, &interrupt>(Permission::anyone),
    entry<proto::SendSignal, &signal>(Permission::anyone),
    entry<proto::Close, &close>(Permission::anyone),
    entry<proto::Sentinel, &sentinel>(Permission::anyone),
    entry<proto::Session, &session>(Permission::anyone),
    entry<proto::SessionEnd, &session_end>(Permission::anyone),
    entry<proto::Subscribe, &subscribe>(Permission::anyone),
    entry<proto::Shutdown, &shutdown>(Permission::administrator),
};

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
    return own == 0 && permission == Permission::anyone;
}

}  // namespace

RawAnswer dispatch(Call& call, const std::string& method, const proto::Json& params) {
    const auto found =
        std::find_if(k_table.begin(), k_table.end(), [&](const Entry& e) { return e.method == method; });
    if (found == k_table.end()) {
        constexpr std::size_t k_shown = 100;  // a method may be as long as a line
        return refuse(proto::ErrorKind::no_such_method, "no such method: " + method.substr(0, k_shown));
    }
    if (!may_call(call, found->permission))
        return refuse(proto::ErrorKind::not_permitted, "user " + std::to_string(call.peer.uid) + " may not " + method);
    return found->run(call, params);
}

std::vector<std::string> method_names() {
    std::vector<std::string> names;
    for (const Entry& e : k_table) names.emplace_back(e.method);
    return names;
}

}  // namespace procd::api
