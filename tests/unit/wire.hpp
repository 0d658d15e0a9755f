#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "proto/envelope.hpp"

namespace procd::proto {

// What a test looks at when it decodes: the value written out again, or "ERROR " and the message.
template <class T>
std::string decoded(std::string_view json) {
    T value{};
    try {
        decode(Json::parse(json), value, Path{nullptr, "params", std::nullopt}, Unknown::refuse);
    } catch (const DecodeError& error) {
        return std::string("ERROR ") + error.what();
    }
    return dump(encode(value));
}

// Likewise for the parameters of a method.
template <class Params>
std::string decoded_params(std::string_view json) {
    const auto params = decode_params<Params>(Json::parse(json));
    if (const auto* error = std::get_if<WireError>(&params))
        return (error->kind == ErrorKind::bad_request ? "ERROR " : "WRONG KIND ") + error->message;
    return dump(encode(std::get<Params>(params)));
}

}  // namespace procd::proto
