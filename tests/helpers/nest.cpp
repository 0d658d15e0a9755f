// Makes a group inside its own cgroup, puts a child of its own there, says the child's pid on stdout, and
// stays. argv[1]: the directory of its own cgroup.
#include <cstdio>
#include <fcntl.h>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char** argv) {
    if (argc < 2) return 2;
    const std::string nested = std::string(argv[1]) + "/nested";
    ::mkdir(nested.c_str(), 0755);
    ::mkdir((nested + "/deeper").c_str(), 0755);
    if (::fork() == 0) {
        const int procs = ::open((nested + "/deeper/cgroup.procs").c_str(), O_WRONLY);
        if (::write(procs, "0", 1) != 1) ::_exit(1);
        std::printf("%d\n", static_cast<int>(::getpid()));
        std::fflush(stdout);
    }
    for (;;) ::pause();
}
