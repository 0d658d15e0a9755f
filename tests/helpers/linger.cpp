// Says its pid on stdout and stays until a signal ends it. With "ignore": SIGTERM and SIGHUP do not.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <unistd.h>

int main(int argc, char** argv) {
    if (argc > 1 && std::strcmp(argv[1], "ignore") == 0) {
        std::signal(SIGTERM, SIG_IGN);
        std::signal(SIGHUP, SIG_IGN);
    }
    std::printf("%d\n", static_cast<int>(::getpid()));
    std::fflush(stdout);
    for (;;) ::pause();
}
