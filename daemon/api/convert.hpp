#pragma once

#include <string>
#include <variant>
#include <vector>

#include "daemon/api/call.hpp"
#include "daemon/core/process.hpp"
#include "daemon/core/selector.hpp"
#include "proto/error.hpp"
#include "proto/process_object.hpp"

// core's types ↔ the wire's, the only translation between the two.
namespace procd::api {

proto::ProcessObject process_object(const core::Supervisor& core, const core::Process& process,
                                    core::Now now);
std::vector<proto::ProcessObject> process_objects(const core::Supervisor& core,
                                                  const std::vector<core::ProcessId>& ids, core::Now now);
proto::WireError wire_error(const core::Refusal& refusal);
proto::WireError wire_error(const core::Process& process, const core::LaunchFailure& failure);
proto::WireError refuse(proto::ErrorKind kind, std::string message);
core::Duration duration(const proto::Seconds& seconds);
// RFC 3339, UTC, microseconds: "2026-01-02T03:04:05.678901Z".
std::string rfc3339(core::Wall time);
proto::EventType wire_event(core::EventType type);

// The owner that a filter or a selector means; one that owns nothing where there is no such owner.
std::variant<core::OwnerKey, proto::WireError> owner_key(Call& call, const proto::OwnerRef& owner,
                                                         const char* path);

// Selectors → ids. Nothing is done before all of them are resolved.
std::variant<core::ProcessId, proto::WireError> resolve_one(Call& call, const proto::Selector& selector,
                                                            core::Want want = core::Want::any);
std::variant<std::vector<core::ProcessId>, proto::WireError> resolve_many(
    Call& call, const std::vector<proto::Selector>& selectors, core::Want want = core::Want::any);

}  // namespace procd::api
