#pragma once

#include "client/procctl/context.hpp"

namespace procctl {

// Asks a method that takes one process (start, status) about the first word of the command line.
template <class Method>
Outcome<procd::client::Reply<Method>> ask_about_one(Context& context) {
    const auto selection = context.select({context.options.words[0]});
    if (!selection) return selection.error();
    return context.call<Method>({selection->selectors[0]}, selection->fds());
}

// Sends a method that takes many processes, with what `fill` adds to its parameters, and answers.
template <class Method>
int tell_many(Context& context, std::vector<std::string> words, auto&& fill) {
    const auto selection = context.select(std::move(words));
    if (!selection) return context.fail(selection.error());
    typename Method::Params params;
    params.processes = selection->selectors;
    fill(params);
    const auto reply = context.call<Method>(params, selection->fds());
    if (!reply) return context.fail(reply.error());
    return context.answer(k_done, *reply);
}

// What a notification says. None: it is of a newer procd, about something that this procctl does not know.
template <class Params>
std::optional<Params> params_of(const procd::client::Notification& notification) {
    namespace proto = procd::proto;
    Params params;
    try {
        proto::decode(notification.params, params, proto::Path{nullptr, "params", std::nullopt},
                      proto::Unknown::ignore);
    } catch (const proto::DecodeError&) {
        return std::nullopt;
    }
    return params;
}

}  // namespace procctl
