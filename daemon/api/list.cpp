#include <algorithm>

#include "daemon/api/api.hpp"
#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"
#include "daemon/core/names.hpp"

namespace procd::api {
namespace {

// An owner that is not there (any more) and of whom no record speaks: an empty list would say that all is
// done.
std::optional<proto::WireError> unknown_owner(Call& call, const proto::OwnerRef& named,
                                              const core::OwnerKey& key) {
    const auto* owned = call.core.owned_by(key);
    if (owned && !owned->empty()) return std::nullopt;
    const auto number = static_cast<std::int64_t>(key.number);
    if (named.kind == proto::OwnerRef::Kind::session) {
        const core::Session* session =
            key.kind == core::OwnerKind::session ? call.core.find_session(number) : nullptr;
        if (!session || !core::visible(call.caller(), session->uid))
            return refuse(proto::ErrorKind::owner_gone,
                          "session " + named.session + " has ended, or never was");
    } else if (named.kind == proto::OwnerRef::Kind::process) {
        const auto found = core::resolve(call.core, call.caller(), core::Selector{number, {}, {}});
        if (!found) return wire_error(found.refusal());
    }
    return std::nullopt;
}

}  // namespace

AnswerTo<proto::List> list(Call& call, const proto::ListParams& params) {
    std::shared_ptr<const std::vector<std::string>> only;
    if (params.fields_wanted) {
        const auto& known = proto::process_field_names();
        for (std::size_t i = 0; i < params.fields_wanted->size(); ++i)
            if (std::find(known.begin(), known.end(), (*params.fields_wanted)[i]) == known.end())
                return refuse(proto::ErrorKind::bad_request,
                              "params.fields[" + std::to_string(i) + "]: is no member of a process object");
        only = std::make_shared<const std::vector<std::string>>(*params.fields_wanted);
    }
    constexpr std::size_t k_longest_glob = 1024;
    if (params.name && params.name->size() > k_longest_glob)
        return refuse(proto::ErrorKind::bad_request, "params.name: a glob has at most 1024 bytes");
    std::optional<core::OwnerKey> owner;
    if (params.owner) {
        auto key = owner_key(call, *params.owner, "params.owner");
        if (auto* error = std::get_if<proto::WireError>(&key)) return std::move(*error);
        owner = std::get<core::OwnerKey>(key);
        if (auto problem = unknown_owner(call, *params.owner, *owner)) return std::move(*problem);
    }

    proto::ListResult result;
    result.seq = call.api.events().seq();
    for (const auto& [id, process] : call.core.processes()) {
        if (!core::visible(call.caller(), process.uid)) continue;
        if (owner && process.owner != *owner) continue;
        if (params.daemon && process.daemon != *params.daemon) continue;
        if (params.alive && process.alive() != *params.alive) continue;
        if (params.name && !core::glob_matches(*params.name, process.name)) continue;
        result.processes.push_back({process_object(call.core, process, call.now), only});
    }
    return result;
}

}  // namespace procd::api
