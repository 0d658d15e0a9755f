#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/lib/connection.hpp"
#include "client/lib/deadline.hpp"
#include "client/procctl/failure.hpp"
#include "client/procctl/options.hpp"
#include "client/procctl/output.hpp"
#include "client/procctl/owner_spec.hpp"
#include "proto/messages.hpp"

namespace procctl {

// An owner, and the descriptor that must go with a request that names it (a pidfd has index 0).
struct Owner {
    procd::proto::OwnerRef ref;
    procd::UniqueFd pidfd;
};

// Processes that somebody named, and the descriptor that their owner may need.
struct Selection {
    std::vector<procd::proto::Selector> selectors;
    procd::UniqueFd pidfd;

    std::vector<int> fds() const { return pidfd ? std::vector{pidfd.get()} : std::vector<int>{}; }
};

// What the verbs share: the options, the connection (made when it is first needed), stdout, and where we run.
class Context {
  public:
    explicit Context(const Options& chosen);

    const Options& options;
    const procd::client::Deadline deadline;  // --timeout, from the start
    Output out;

    Outcome<procd::client::Connection*> connect();

    template <class Method>
    Outcome<procd::client::Reply<Method>> call(const typename Method::Params& params,
                                               const std::vector<int>& fds = {}) {
        return call_until<Method>(params, fds, deadline);
    }
    template <class Method>
    Outcome<procd::client::Reply<Method>> call_until(const typename Method::Params& params,
                                                     const std::vector<int>& fds,
                                                     procd::client::Deadline until) {
        auto connection = connect();
        if (!connection) return connection.error();
        return checked((*connection)->call<Method>(params, fds, until));
    }
    template <class T>
    Outcome<T> checked(procd::client::Result<T> result) const {
        if (!result) return failure(result.error());
        return *std::move(result);
    }
    Failure failure(const procd::client::Error& error) const;

    // The managed process that procctl runs in; asked once.
    Outcome<std::optional<procd::proto::ProcessObject>> enclosing();
    // The owner of what is started here without any word about it: the enclosing process, else the session,
    // else procd.
    Outcome<procd::proto::OwnerRef> own_scope();
    Outcome<Owner> resolve(const OwnerSpec& spec);
    // The owner of a new process: --owner, else PROCD_OWNER, else own_scope().
    Outcome<Owner> owner_of_new();
    // Words as selectors: all digits are an id; a name is looked for among --owner's alone, else among
    // the caller's own. (`set` means another thing by --owner.)
    Outcome<Selection> select(std::vector<std::string> words);
    Outcome<Selection> select() { return select(options.words); }

    // Says why on stderr, or on stdout as JSON; returns the exit status.
    int fail(const Failure& failure);
    // The same, with k_unknown where there is no such process.
    int fail_unknown(const Failure& failure);
    // With --json prints that, else lets `plain` print; returns the status.
    int answer(int status, const procd::proto::OrderedJson& json, const std::function<void()>& plain = {});
    template <class Method>
    int answer(int status, const procd::client::Reply<Method>& reply,
               const std::function<void()>& plain = {}) {
        if (options.json) return answer(status, reply.json());
        if (plain) plain();
        return status;
    }

  private:
    // For what comes before the request that --timeout is about, so that `--timeout 0` gets as far as that.
    const procd::client::Deadline patience_;
    std::optional<procd::client::Connection> connection_;
    std::optional<std::optional<procd::proto::ProcessObject>> enclosing_;
    bool socket_named_ = false;
};

}  // namespace procctl
