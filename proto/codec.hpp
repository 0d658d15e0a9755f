#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "proto/enums.hpp"
#include "proto/json.hpp"

// One field list a message, three visitors over it: encode, decode and describe (describe.hpp).
//
//     struct RenameParams {
//         Selector process;
//         std::string name;
//         static void fields(auto& self, auto&& field) {
//             field("process", self.process, "which process");
//             field("name", self.name, "its new name");
//         }
//     };
//
// A std::optional member may be absent or null on the wire; every other one is required. Encoding leaves an
// empty optional out, or writes null where the struct says `static constexpr bool k_nulls = true`.
namespace procd::proto {

// Where in a request a value stands: "params.stdio.stdout.fd". Lives on the stack, is spelled only in an
// error.
struct Path {
    const Path* parent = nullptr;
    std::string_view key;
    std::optional<std::size_t> index;

    std::string text() const;
};

// Thrown by decode and caught by decode_message: nothing throws out of the codec.
class DecodeError : public std::runtime_error {
  public:
    DecodeError(const Path& path, const std::string& what) : std::runtime_error(path.text() + ": " + what) {}
};

// strict: unknown members are an error (requests). lenient: they are ignored (results of a newer server).
enum class Unknown { refuse, ignore };

template <class T>
concept Message = requires(T& message) {
    T::fields(message, [](const char*, auto&, const char*) {});
};

// A type that spells itself: `static T from_json(const Json&, const Path&)`, `OrderedJson to_json() const`.
template <class T>
concept SelfCoded = requires(const T& value, const Json& json, const Path& path) {
    { T::from_json(json, path) } -> std::same_as<T>;
    { value.to_json() } -> std::same_as<OrderedJson>;
};

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class T>
void decode(const Json& json, T& out, const Path& path, Unknown unknown);

// ---- decode ----------------------------------------------------------------------------------------------

void decode_integer(const Json& json, std::int64_t& out, const Path& path, std::int64_t low,
                    std::int64_t high);
void decode_text(const Json& json, std::string& out, const Path& path);
void decode_number(const Json& json, double& out, const Path& path);
[[noreturn]] void fail_enum(const Path& path, const std::string_view* names, std::size_t count);
void require_object(const Json& json, const Path& path);
[[noreturn]] void fail_unknown(const Path& path, const std::string& key);

template <Message T>
void decode_fields(const Json& json, T& out, const Path& path, Unknown unknown) {
    require_object(json, path);
    std::size_t used = 0;
    T::fields(out, [&](const char* name, auto& member, const char*) {
        using Member = std::remove_cvref_t<decltype(member)>;
        const Path here{&path, name, std::nullopt};
        const auto found = json.find(name);
        if (found != json.end()) ++used;
        if constexpr (IsOptional<Member>::value) {
            if (found == json.end() || found->is_null()) return;
            decode(*found, member.emplace(), here, unknown);
        } else {
            if (found == json.end() || found->is_null()) throw DecodeError(here, "is missing");
            decode(*found, member, here, unknown);
        }
    });
    if (unknown == Unknown::ignore || used == json.size()) return;
    for (const auto& [key, value] : json.items()) {
        bool known = false;
        T::fields(out, [&, &name_wanted = key](const char* name, auto&, const char*) {
            known = known || name_wanted == name;
        });
        if (!known) fail_unknown(path, key);
    }
}

template <class T>
void decode(const Json& json, T& out, const Path& path, Unknown unknown) {
    if constexpr (SelfCoded<T>) {
        out = T::from_json(json, path);
    } else if constexpr (Message<T>) {
        decode_fields(json, out, path, unknown);
    } else if constexpr (WireEnum<T>) {
        const auto value =
            json.is_string() ? enum_value<T>(json.template get_ref<const std::string&>()) : std::nullopt;
        if (!value) fail_enum(path, EnumNames<T>::k_names.data(), EnumNames<T>::k_names.size());
        out = *value;
    } else if constexpr (std::same_as<T, bool>) {
        if (!json.is_boolean()) throw DecodeError(path, "expected true or false");
        out = json.template get<bool>();
    } else if constexpr (std::same_as<T, double>) {
        decode_number(json, out, path);
    } else if constexpr (std::integral<T>) {
        std::int64_t value = 0;
        using Limits = std::numeric_limits<T>;
        constexpr std::int64_t high = sizeof(T) < 8 ? static_cast<std::int64_t>(Limits::max())
                                                    : std::numeric_limits<std::int64_t>::max();
        decode_integer(json, value, path, static_cast<std::int64_t>(Limits::min()), high);
        out = static_cast<T>(value);
    } else if constexpr (std::same_as<T, std::string>) {
        decode_text(json, out, path);
    } else if constexpr (std::same_as<T, Json>) {
        out = json;
    } else {
        static_assert(IsVector<T>::value, "a type that the codec knows");
        if (!json.is_array()) throw DecodeError(path, "expected an array");
        out.clear();
        out.reserve(json.size());
        for (std::size_t i = 0; i < json.size(); ++i)
            decode(json[i], out.emplace_back(), Path{&path, {}, i}, unknown);
    }
}

// ---- encode ----------------------------------------------------------------------------------------------

template <class T>
OrderedJson encode(const T& value);

template <class T>
constexpr bool writes_nulls() {
    if constexpr (requires { T::k_nulls; }) return T::k_nulls;
    return false;
}

template <class T>
OrderedJson encode(const T& value) {
    if constexpr (SelfCoded<T>) {
        return value.to_json();
    } else if constexpr (Message<T>) {
        OrderedJson object = OrderedJson::object();
        auto& entries = object.template get_ref<OrderedJson::object_t&>();
        T::fields(value, [&](const char* name, const auto& member, const char*) {
            using Member = std::remove_cvref_t<decltype(member)>;
            // Field names are distinct: append without the ordered map's linear search.
            if constexpr (IsOptional<Member>::value) {
                if (member)
                    entries.emplace_back(name, encode(*member));
                else if (writes_nulls<T>())
                    entries.emplace_back(name, nullptr);
            } else {
                entries.emplace_back(name, encode(member));
            }
        });
        return object;
    } else if constexpr (WireEnum<T>) {
        return OrderedJson(enum_text(value));
    } else if constexpr (IsVector<T>::value) {
        OrderedJson array = OrderedJson::array();
        for (const auto& item : value) array.push_back(encode(item));
        return array;
    } else if constexpr (std::same_as<T, OrderedJson>) {
        return value;
    } else if constexpr (std::same_as<T, Json>) {
        return OrderedJson::parse(dump(value));
    } else {
        return OrderedJson(value);
    }
}

}  // namespace procd::proto
