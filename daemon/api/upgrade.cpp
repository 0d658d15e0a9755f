#include "daemon/api/convert.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

// Answered by the new program; by this one only where it comes to nothing.
AnswerTo<proto::Upgrade> upgrade(Call& call, const proto::UpgradeParams& params) {
    std::string binary;
    if (params.binary) binary = params.binary->value;
    if (params.binary && !binary.starts_with('/'))
        return refuse(proto::ErrorKind::bad_request, "params.binary: expected an absolute path");
    const auto begun = call.host.upgrade(binary, UpgradeRequest{call.peer.connection, call.id});
    if (!begun) return wire_error(begun.refusal());
    return Later{};
}

}  // namespace procd::api
