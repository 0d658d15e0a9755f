#include "client/procctl/context.hpp"

#include <algorithm>

#include "client/lib/socket.hpp"
#include "client/procctl/caller.hpp"
#include "client/procctl/inherited.hpp"
#include "client/procctl/text.hpp"

namespace procctl {
namespace {

namespace proto = procd::proto;
namespace client = procd::client;

constexpr double k_patience_seconds = 0.5;

// A session that PROCD_OWNER names: `procctl session` inside a managed process says so, for its inside.
std::optional<std::string> session_by_owner_variable() {
    const auto text = variable("PROCD_OWNER");
    const auto spec = text ? parse_owner(*text) : std::nullopt;
    if (!spec || spec->kind != OwnerSpec::Kind::session) return std::nullopt;
    return spec->session.empty() ? variable("PROCD_SESSION") : spec->session;
}

proto::OwnerRef session_ref(const std::string& session) {
    return {proto::OwnerRef::Kind::session, 0, session};
}

}  // namespace

Context::Context(const Options& chosen)
    : options(chosen),
      deadline(client::Deadline::after(chosen.timeout)),
      patience_(client::Deadline::after(chosen.timeout ? std::optional(*chosen.timeout + k_patience_seconds)
                                                       : std::nullopt)) {}

Outcome<client::Connection*> Context::connect() {
    if (connection_) return &*connection_;
    const auto choice = client::choose_socket(options.socket, client::Surroundings::actual());
    socket_named_ = choice.named;
    auto connection = client::Connection::open(choice.path, patience_);
    if (!connection) {
        client::Error error = connection.error();
        for (const std::string& path : choice.missing) error.message += "\n(nor at " + path + ")";
        return failure(error);
    }
    connection_.emplace(*std::move(connection));
    return &*connection_;
}

Failure Context::failure(const client::Error& error) const {
    return Failure::from(error, socket_named_);
}

Outcome<std::optional<proto::ProcessObject>> Context::enclosing() {
    if (!enclosing_) {
        auto reply = call_until<proto::Whoami>({}, {}, patience_);
        if (!reply) return reply.error();
        enclosing_ = std::move(reply->result.process);
    }
    return *enclosing_;
}

Outcome<proto::OwnerRef> Context::own_scope() {
    if (const auto session = session_by_owner_variable()) return session_ref(*session);
    const auto process = enclosing();
    if (!process) return process.error();
    if (*process) return proto::OwnerRef{proto::OwnerRef::Kind::enclosing, 0, {}};
    if (const auto session = variable("PROCD_SESSION")) return session_ref(*session);
    return proto::OwnerRef{proto::OwnerRef::Kind::procd, 0, {}};
}

Outcome<Owner> Context::resolve(const OwnerSpec& spec) {
    using Kind = proto::OwnerRef::Kind;
    const auto held = [](Outcome<procd::UniqueFd> pidfd) -> Outcome<Owner> {
        if (!pidfd) return pidfd.error();
        return Owner{{Kind::pidfd, 0, {}}, *std::move(pidfd)};
    };
    switch (spec.kind) {
        case OwnerSpec::Kind::caller:
            return held(open_caller());
        case OwnerSpec::Kind::pid:
            return held(open_process(static_cast<pid_t>(spec.number)));
        case OwnerSpec::Kind::connection:
            return Owner{{Kind::connection, 0, {}}, {}};
        case OwnerSpec::Kind::procd:
            return Owner{{Kind::procd, 0, {}}, {}};
        case OwnerSpec::Kind::enclosing:
            return Owner{{Kind::enclosing, 0, {}}, {}};
        case OwnerSpec::Kind::process:
            return Owner{{Kind::process, spec.number, {}}, {}};
        case OwnerSpec::Kind::session:
            break;
    }
    if (!spec.session.empty()) return Owner{session_ref(spec.session), {}};
    if (const auto session = variable("PROCD_SESSION")) return Owner{session_ref(*session), {}};
    return Failure::usage(
        "the owner is to be the session, but PROCD_SESSION is not set: this is not inside of one");
}

Outcome<Owner> Context::owner_of_new() {
    if (options.owner) return resolve(*parse_owner(*options.owner));
    if (const auto text = variable("PROCD_OWNER")) {
        const auto spec = parse_owner(*text);
        if (!spec) return Failure::usage("PROCD_OWNER is '" + *text + "': expected " + k_owner_forms);
        return resolve(*spec);
    }
    auto scope = own_scope();
    if (!scope) return scope.error();
    return Owner{*std::move(scope), {}};
}

Outcome<Selection> Context::select(std::vector<std::string> words) {
    Selection selection;
    std::optional<proto::OwnerRef> owner;
    if (!std::all_of(words.begin(), words.end(), is_number)) {
        if (options.owner && options.verb != Verb::set) {
            auto given = resolve(*parse_owner(*options.owner));
            if (!given) return given.error();
            owner = given->ref;
            selection.pidfd = std::move(given->pidfd);
        }  // else procd looks among the caller's own first: it knows them by kernel facts
    }
    for (std::string& word : words) {
        if (!is_number(word)) {
            selection.selectors.push_back({std::nullopt, std::move(word), owner});
        } else if (const auto id = positive_number(word)) {
            selection.selectors.push_back({id, {}, std::nullopt});
        } else {
            return Failure::refused(proto::ErrorKind::no_such_process, "there is no process " + word);
        }
    }
    return selection;
}

int Context::fail(const Failure& failure) {
    if (options.json) {
        out.line(proto::dump(proto::OrderedJson{{"error", failure.object}}));
        return failure.status;
    }
    // Only the line breaks between our own sentences are real.
    std::string text;
    for (std::size_t begin = 0; begin <= failure.message.size();) {
        const std::size_t end = std::min(failure.message.find('\n', begin), failure.message.size());
        text.append(begin == 0 ? "" : "\nprocctl: ")
            .append(escaped(failure.message.substr(begin, end - begin)));
        begin = end + 1;
    }
    complain(text);
    return failure.status;
}

int Context::fail_unknown(const Failure& failure) {
    const int status = fail(failure);
    return failure.is(proto::ErrorKind::no_such_process) ? k_unknown : status;
}

int Context::answer(int status, const proto::OrderedJson& json, const std::function<void()>& plain) {
    if (options.json)
        out.line(proto::dump(json));
    else if (plain)
        plain();
    return status;
}

}  // namespace procctl
