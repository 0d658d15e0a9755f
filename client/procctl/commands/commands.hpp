#pragma once

#include "client/procctl/context.hpp"

namespace procctl {

// Does what the options say; returns the exit status.
int run_verb(Context& context);

// One verb a file.
namespace commands {

int alive(Context& context);
int close(Context& context);
int completion(Context& context);
int create(Context& context);
int current(Context& context);
int events(Context& context);
int exitcode(Context& context);
int info(Context& context);
int interrupt(Context& context);
int kill(Context& context);
int list(Context& context);
int logs(Context& context);
int name(Context& context);
int pid(Context& context);
int run(Context& context);
int session(Context& context);
int set(Context& context);
int shutdown(Context& context);
int signal(Context& context);
int spawn(Context& context);
int start(Context& context);
int status(Context& context);
int terminate(Context& context);
int upgrade(Context& context);
int wait(Context& context);

}  // namespace commands
}  // namespace procctl
