#include <cstdio>
#include <exception>

#include "daemon/options.hpp"
#include "daemon/start.hpp"

int main(int argc, char** argv) {
    try {
        auto options = procd::parse_options(argc, argv);
        if (const int* status = std::get_if<int>(&options)) return *status;
        return procd::start_and_serve(std::get<procd::Options>(options), procd::command_line(argc, argv));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "procd: %s\n", error.what());
        return 1;
    }
}
