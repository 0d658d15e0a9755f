#include "client/procctl/commands/commands.hpp"

namespace procctl {

int run_verb(Context& context) {
    switch (context.options.verb) {
        case Verb::alive:
            return commands::alive(context);
        case Verb::close:
            return commands::close(context);
        case Verb::completion:
            return commands::completion(context);
        case Verb::create:
            return commands::create(context);
        case Verb::current:
            return commands::current(context);
        case Verb::events:
            return commands::events(context);
        case Verb::exitcode:
            return commands::exitcode(context);
        case Verb::info:
            return commands::info(context);
        case Verb::interrupt:
            return commands::interrupt(context);
        case Verb::kill:
            return commands::kill(context);
        case Verb::list:
            return commands::list(context);
        case Verb::logs:
            return commands::logs(context);
        case Verb::name:
            return commands::name(context);
        case Verb::pid:
            return commands::pid(context);
        case Verb::run:
            return commands::run(context);
        case Verb::session:
            return commands::session(context);
        case Verb::set:
            return commands::set(context);
        case Verb::shutdown:
            return commands::shutdown(context);
        case Verb::signal:
            return commands::signal(context);
        case Verb::spawn:
            return commands::spawn(context);
        case Verb::start:
            return commands::start(context);
        case Verb::status:
            return commands::status(context);
        case Verb::terminate:
            return commands::terminate(context);
        case Verb::upgrade:
            return commands::upgrade(context);
        case Verb::wait:
            return commands::wait(context);
    }
    return k_usage;
}

}  // namespace procctl
