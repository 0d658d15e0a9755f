#include "daemon/api/handlers.hpp"
#include "proto/describe.hpp"

namespace procd::api {

AnswerTo<proto::Discover> discover(Call& call, const proto::Nothing&) {
    return proto::openrpc_document(call.host.self().version);
}

}  // namespace procd::api
