#pragma once

#include <string>

#include "proto/codec.hpp"

namespace procd::proto {

// JSON Schema (draft 7) of anything that the codec knows, from the same field list.
template <class T>
OrderedJson describe() {
    if constexpr (IsOptional<T>::value) {
        return describe<typename T::value_type>();
    } else if constexpr (requires {
                             { T::schema() } -> std::same_as<OrderedJson>;
                         }) {
        return T::schema();
    } else if constexpr (Message<T>) {
        OrderedJson object{{"type", "object"}, {"properties", OrderedJson::object()}};
        OrderedJson required = OrderedJson::array();
        T message;
        T::fields(message, [&](const char* name, auto& member, const char* doc) {
            using Member = std::remove_cvref_t<decltype(member)>;
            OrderedJson schema = describe<Member>();
            if constexpr (IsOptional<Member>::value)
                schema = OrderedJson{
                    {"oneOf", OrderedJson::array({std::move(schema), OrderedJson{{"type", "null"}}})}};
            schema["description"] = doc;
            object["properties"][name] = std::move(schema);
            if (!IsOptional<Member>::value || writes_nulls<T>()) required.push_back(name);
        });
        object["required"] = std::move(required);
        return object;
    } else if constexpr (WireEnum<T>) {
        OrderedJson words = OrderedJson::array();
        for (const auto word : EnumNames<T>::k_names) words.push_back(word);
        return OrderedJson{{"type", "string"}, {"enum", std::move(words)}};
    } else if constexpr (IsVector<T>::value) {
        return OrderedJson{{"type", "array"}, {"items", describe<typename T::value_type>()}};
    } else if constexpr (std::same_as<T, bool>) {
        return OrderedJson{{"type", "boolean"}};
    } else if constexpr (std::integral<T>) {
        return OrderedJson{{"type", "integer"}};
    } else if constexpr (std::same_as<T, double>) {
        return OrderedJson{{"type", "number"}};
    } else if constexpr (std::same_as<T, std::string>) {
        return OrderedJson{{"type", "string"}};
    } else {
        return OrderedJson::object();  // any value
    }
}

// The OpenRPC document of every method (rpc.discover), and the same as Markdown (docs/protocol.md).
OrderedJson openrpc_document(const std::string& version);
std::string protocol_tables();

}  // namespace procd::proto
