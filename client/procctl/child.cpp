#include "client/procctl/child.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/procctl/caller.hpp"
#include "client/procctl/output.hpp"

namespace procctl {
namespace {

using procd::UniqueFd;

Failure cannot(const std::string& operation, const std::string& subject, int error) {
    const bool missing = operation == "execute" && (error == ENOENT || error == ENOTDIR);
    procd::proto::WireError wire{procd::proto::ErrorKind::exec_failed,
                                 "cannot " + operation + " " + subject + ": " + std::strerror(error),
                                 {}};
    wire.details["errno"] = error;
    wire.details["stage"] = operation == "execute" ? "exec" : operation;
    return Failure{missing ? k_not_found : k_cannot_execute, wire.message, "exec_failed",
                   procd::proto::to_json(wire)};
}

// In the child: one thread, so that the environment may be changed. Returns only when the exec failed.
void become(const std::vector<std::string>& command,
            const std::vector<std::pair<std::string, std::string>>& variables, const sigset_t& mask,
            pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(k_cannot_execute);  // it died before that call
    for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
    std::vector<char*> words;
    for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    for (int fd = 0; fd < 3; ++fd)
        if (!stream_was_open(fd)) ::close(fd);
    restore_sigpipe();
    ::sigprocmask(SIG_SETMASK, &mask, nullptr);
    ::execvp(words[0], words.data());
}

}  // namespace

Outcome<Child> start_child(const std::vector<std::string>& command,
                           const std::vector<std::pair<std::string, std::string>>& variables,
                           const sigset_t& mask) {
    int ends[2] = {-1, -1};
    if (::pipe2(ends, O_CLOEXEC) != 0) return cannot("make a pipe for", command[0], errno);
    const UniqueFd read_end(ends[0]);
    UniqueFd write_end(ends[1]);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return cannot("fork for", command[0], errno);
    if (pid == 0) {
        become(command, variables, mask, parent);
        const int error = errno;
        static_cast<void>(!::write(write_end.get(), &error, sizeof error));
        ::_exit(k_not_found);
    }
    write_end.reset();
    Child child{pid, pidfd_of(pid)};
    int error = 0;
    ssize_t got = 0;
    do got = ::read(read_end.get(), &error, sizeof error);
    while (got < 0 && errno == EINTR);
    if (got == sizeof error) {
        ::waitpid(pid, nullptr, 0);
        return cannot("execute", command[0], error);
    }
    return child;
}

void adopt_orphans() {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
}

}  // namespace procctl
