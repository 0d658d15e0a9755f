#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <variant>

#include "daemon/state/records.hpp"
#include "proto/codec.hpp"
#include "proto/json.hpp"

namespace procd::state {

// A message from its text; members that are not known are ignored. what: what an error calls it.
template <class Text>
std::variant<Text, Unreadable> read_text(std::string_view json, std::string_view what) {
    Text text;
    try {
        proto::decode(proto::Json::parse(json), text, proto::Path{nullptr, what, std::nullopt},
                      proto::Unknown::ignore);
    } catch (const std::exception& problem) {
        return Unreadable{problem.what()};
    }
    return text;
}

}  // namespace procd::state
