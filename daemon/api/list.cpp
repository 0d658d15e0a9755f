#include <algorithm>

#include "daemon/api/api.hpp"
#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"
#include "daemon/core/names.hpp"

namespace procd::api {

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
    std::optional<core::OwnerKey> owner;
    if (params.owner) {
        auto key = owner_key(call, *params.owner, "params.owner");
        if (auto* error = std::get_if<proto::WireError>(&key)) return std::move(*error);
        owner = std::get<core::OwnerKey>(key);
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
