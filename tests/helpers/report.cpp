// Tells on stdout what it was started with, one "key: value" a line.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fstream>
#include <iostream>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int argc, char** argv) {
    // First the descriptors, before any is opened here but the directory's own.
    std::string open;
    if (DIR* const directory = ::opendir("/proc/self/fd")) {
        const int own = ::dirfd(directory);
        for (const dirent* entry = ::readdir(directory); entry != nullptr; entry = ::readdir(directory)) {
            if (entry->d_name[0] == '.' || std::atoi(entry->d_name) == own) continue;
            open += std::string(open.empty() ? "" : " ") + entry->d_name;
        }
        ::closedir(directory);
    }
    std::cout << "fds: " << open << "\n";
    for (int fd = 0; fd < 10; ++fd) {
        char target[4096];
        const ssize_t length =
            ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target, sizeof target);
        if (length > 0)
            std::cout << "fd" << fd << ": " << std::string(target, static_cast<std::size_t>(length)) << "\n";
    }
    for (int i = 0; i < argc; ++i) std::cout << "arg" << i << ": " << argv[i] << "\n";
    const mode_t mask = ::umask(0);
    std::printf("umask: %03o\n", static_cast<unsigned>(mask));
    std::fflush(stdout);
    char cwd[4096];
    std::cout << "cwd: " << (::getcwd(cwd, sizeof cwd) != nullptr ? cwd : "?") << "\n";
    std::cout << "leads session: " << (::getsid(0) == ::getpid() ? "yes" : "no") << "\n";
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    std::cout << "nofile: " << limit.rlim_cur << " " << limit.rlim_max << "\n";
    for (char** entry = environ; *entry != nullptr; ++entry) std::cout << "env: " << *entry << "\n";
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        for (const char* key : {"Sig", "Shd", "NoNewPrivs", "Uid", "Gid", "Groups"}) {
            if (line.compare(0, std::strlen(key), key) == 0) std::cout << line << "\n";
        }
    }
}
