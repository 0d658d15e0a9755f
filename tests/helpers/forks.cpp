// A chain that never stands still: a process forks another and ends, again and again, ignoring SIGTERM.
// argv[1]: how often.
#include <csignal>
#include <cstdlib>
#include <unistd.h>

int main(int argc, char** argv) {
    std::signal(SIGTERM, SIG_IGN);
    std::signal(SIGCHLD, SIG_IGN);
    for (int left = argc > 1 ? std::atoi(argv[1]) : 1000; left > 0; --left) {
        const pid_t child = ::fork();
        if (child < 0) return 1;
        if (child > 0 && left % 50 != 0) ::_exit(0);
        if (child > 0) {
            ::usleep(20000);  // every now and then one lives a moment
            ::_exit(0);
        }
        ::setsid();
    }
}
