#pragma once

#include <string>
#include <variant>
#include <vector>

#include "daemon/api/call.hpp"
#include "proto/error.hpp"
#include "proto/json.hpp"

namespace procd::api {

using RawAnswer = std::variant<proto::OrderedJson, proto::WireError, Later>;

// Finds the method in the one table, checks that this peer may call it, decodes the parameters, runs the
// handler.
RawAnswer dispatch(Call& call, const std::string& method, const proto::Json& params);

std::vector<std::string> method_names();
// Whether a method's answer depends on how far a start has come.
bool looks_at_started(const std::string& method);
// Whether a method does something, so that it matters though nobody hears the answer.
bool acts(const std::string& method);

}  // namespace procd::api
