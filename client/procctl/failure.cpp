#include "client/procctl/failure.hpp"

#include <cerrno>
#include <unistd.h>
#include <utility>

#include "client/procctl/text.hpp"

namespace procctl {
namespace {

namespace proto = procd::proto;
using procd::client::Error;

Failure own(int status, std::string message, const char* kind) {
    proto::OrderedJson object{{"code", status}, {"message", message}, {"data", {{"kind", kind}}}};
    return Failure{status, std::move(message), kind, std::move(object)};
}

// The one command that brings procd there.
std::string how_to_start(const Error& error, bool socket_named) {
    if (error.error == EPERM || error.error == EACCES || error.error == ENAMETOOLONG) return {};
    const bool machine = !socket_named && ::geteuid() == 0 && ::access("/run/systemd/system", F_OK) == 0;
    std::string command = machine ? "systemctl start procd" : "procd &";
    if (socket_named) command = "procd -s " + command_text({proto::Bytes{error.path}}) + " &";
    return "\nstart it with: " + command;
}

// The candidates of an ambiguous name, or the names that nobody has, where the message does not show them
// itself.
std::string shown_details(const Error& error) {
    std::string text;
    for (const char* key : {"candidates", "missing"}) {
        const auto data = error.object.find("data");
        if (data == error.object.end() || !data->is_object() || !data->contains(key)) continue;
        const auto& list = (*data)[key];
        if (!list.is_array() || list.empty()) continue;
        const auto shown = [](const proto::OrderedJson& each) {
            return each.is_string() ? each.get<std::string>() : proto::dump(each);
        };
        if (error.message.find(shown(list[0])) != std::string::npos) continue;
        for (const auto& each : list) text.append(text.empty() ? " (" : ", ").append(shown(each));
        text += ')';
    }
    return text;
}

// A shell's way to tell "there is no such program" from "it does not start".
int exec_status(const proto::OrderedJson& object) {
    const auto data = object.find("data");
    if (data == object.end() || !data->is_object()) return k_cannot_execute;
    const auto error = data->find("errno");
    const auto stage = data->find("stage");
    const bool at_exec = stage == data->end() || *stage == "exec";
    const bool missing = error != data->end() && (*error == ENOENT || *error == ENOTDIR);
    return at_exec && missing ? k_not_found : k_cannot_execute;
}

}  // namespace

Failure Failure::usage(std::string message) {
    return own(k_usage, std::move(message), "usage");
}

Failure Failure::refused(proto::ErrorKind kind, std::string message) {
    return from(Error::refused(kind, std::move(message)), false);
}

Failure Failure::from(const Error& error, bool socket_named) {
    switch (error.kind) {
        case Error::Kind::refused:
            break;
        case Error::Kind::out_of_reach: {
            Failure failure = own(k_out_of_reach, error.message, "out_of_reach");
            failure.object["data"]["errno"] = error.error;
            failure.object["data"]["path"] = proto::Bytes{error.path}.to_json();
            if (error.error != 0) failure.message += how_to_start(error, socket_named);
            return failure;
        }
        case Error::Kind::protocol:
            return own(k_out_of_reach, error.message, "protocol");
        case Error::Kind::timed_out:
            return own(k_timed_out, error.message, "timed_out");
    }
    Failure failure{k_refused, error.message + shown_details(error), error.refusal, error.object};
    if (failure.is(proto::ErrorKind::exec_failed)) failure.status = exec_status(failure.object);
    return failure;
}

}  // namespace procctl
