#include "daemon/loop/log.hpp"

#include <memory>

#include <spdlog/sinks/ansicolor_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "daemon/sys/notify.hpp"

namespace procd::loop {
namespace {

// What comes from clients must not move a terminal's cursor.
std::string printable(const std::string& text) {
    std::string clean;
    constexpr const char* k_hex = "0123456789abcdef";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7f)
            clean += c;
        else
            clean.append("\\x").append(1, k_hex[byte >> 4]).append(1, k_hex[byte & 15]);
    }
    return clean;
}

bool to_journal() {
    static const bool journal = sys::stderr_is_journal();
    return journal;
}

}  // namespace

void open_log() {
    auto logger =
        std::make_shared<spdlog::logger>("procd", std::make_shared<spdlog::sinks::stderr_sink_st>());
    // sd-daemon(3): "<4>" is a warning. Without a journal, the time.
    if (to_journal())
        logger->set_pattern("%v");
    else
        logger->set_pattern("%Y-%m-%d %H:%M:%S.%e procd[%P] %v");
    logger->flush_on(spdlog::level::info);
    spdlog::set_default_logger(std::move(logger));
}

namespace {

void write(spdlog::level::level_enum level, const char* priority, const char* word, const std::string& text) {
    const bool journal = to_journal();
    spdlog::log(level, "{}{}{}", journal ? priority : "", journal ? "" : word, printable(text));
}

}  // namespace

void log_info(const std::string& text) {
    write(spdlog::level::info, "<6>", "", text);
}

void log_warning(const std::string& text) {
    write(spdlog::level::warn, "<4>", "warning: ", text);
}

void log_error(const std::string& text) {
    write(spdlog::level::err, "<3>", "error: ", text);
}

}  // namespace procd::loop
