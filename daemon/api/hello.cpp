#include "daemon/api/dispatch.hpp"
#include "daemon/api/handlers.hpp"

namespace procd::api {

AnswerTo<proto::Hello> hello(Call& call, const proto::Nothing&) {
    const Self& self = call.host.self();
    proto::HelloResult result;
    result.version = self.version;
    result.pid = self.pid;
    result.uid = self.uid;
    result.boot_id = self.boot_id;
    result.containment = self.containment;
    result.capabilities = method_names();
    return result;
}

}  // namespace procd::api
