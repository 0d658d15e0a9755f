#pragma once

#include <variant>

#include "daemon/api/call.hpp"

namespace procd::api {

// Checked parameters of create and spawn → what the core makes a process of. Nothing has been done yet, but
// that a pid owner is watched.
std::variant<core::Creation, proto::WireError> creation_from(Call& call, const proto::CreateParams& params);

// Who shall own a process: resolved and, where its end must be noticed, watched.
std::variant<core::OwnerChoice, proto::WireError> choose_owner(Call& call, const proto::OwnerRef& owner);

// The i-th descriptor of the request; `path` names the parameter in the error.
std::variant<core::ResourcePtr, proto::WireError> descriptor_at(Call& call, std::size_t index,
                                                                const std::string& path);

}  // namespace procd::api
