#pragma once

#include "client/procctl/context.hpp"
#include "client/procctl/launch.hpp"
#include "client/procctl/render.hpp"

namespace procctl {

// spawn and create: the id on stdout; on stderr a sentence that says who owns it and what that means.
template <class Method>
int launch(Context& context) {
    auto owner = context.owner_of_new();
    if (!owner) return context.fail(owner.error());
    const auto launch = describe_launch(context.options, *std::move(owner));
    if (!launch) return context.fail(launch.error());
    const auto reply = context.call<Method>(launch->params, launch->fds);
    if (!reply) return context.fail(reply.error());
    if (!context.options.quiet) say(launched_text(reply->result));
    return context.answer(k_done, *reply, [&] { context.out.line(std::to_string(reply->result.id)); });
}

}  // namespace procctl
