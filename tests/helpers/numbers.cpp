// Writes lines to stdout as fast as it can: "00000000000000000042\n", twenty digits each.
// argv: the first number, how many, lines a write (3000), microseconds between two writes (0). Exits with the
// errno of a write that failed, or with 99 when one was cut short.
#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <unistd.h>

namespace {

constexpr std::size_t k_line = 21;

// Adds one to the twenty digits.
void count_up(char* digits) {
    for (char* digit = digits + k_line - 2; ++*digit > '9'; --digit) *digit = '0';
}

}  // namespace

int main(int argc, char** argv) {
    const auto argument = [&](int i, unsigned long long otherwise) {
        return argc > i ? std::strtoull(argv[i], nullptr, 10) : otherwise;
    };
    const std::string first = std::to_string(argument(1, 0));
    unsigned long long left = argument(2, 1000);
    const unsigned long long together = std::max(argument(3, 3000), 1ULL);
    const auto pause = static_cast<useconds_t>(argument(4, 0));
    std::string line = std::string(k_line - 1 - first.size(), '0') + first + "\n", text;
    while (left > 0) {
        text.clear();
        for (unsigned long long i = std::min(left, together); i > 0; --i, --left) {
            text += line;
            count_up(line.data());
        }
        const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
        if (written < 0) return errno;
        if (static_cast<std::size_t>(written) != text.size()) return 99;
        if (pause > 0) ::usleep(pause);
    }
}
