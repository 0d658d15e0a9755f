// Leaves a grandchild behind the way daemons do: fork, setsid, fork. The grandchild ignores SIGTERM and says
// its pid on stdout. "clean": it has an empty environment. "exit": this process ends at once; else it stays.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
    bool clean = false;
    bool leave = false;
    for (int i = 1; i < argc; ++i) {
        clean = clean || std::strcmp(argv[i], "clean") == 0;
        leave = leave || std::strcmp(argv[i], "exit") == 0;
    }
    const std::string self = argv[0];
    const std::string linger = self.substr(0, self.rfind('/') + 1) + "helper_linger";
    const pid_t child = ::fork();
    if (child == 0) {
        ::setsid();
        if (::fork() != 0) ::_exit(0);
        char name[] = "helper_linger";
        char ignore[] = "ignore";
        char* const arguments[] = {name, ignore, nullptr};
        char* const nothing[] = {nullptr};
        if (clean) {
            ::execve(linger.c_str(), arguments, nothing);
        } else {
            ::execv(linger.c_str(), arguments);
        }
        ::_exit(127);
    }
    ::waitpid(child, nullptr, 0);
    if (leave) return 0;
    for (;;) ::pause();
}
