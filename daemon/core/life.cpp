#include "daemon/core/life.hpp"

#include <algorithm>

namespace procd::core {

State Life::state() const {
    switch (is_.phase) {
        case Phase::initial:
        case Phase::starting:
            return State::initial;
        case Phase::running:
            return State::running;
        case Phase::lingering:
        case Phase::kept:
        case Phase::ending:
        case Phase::killing:
            return State::stopping;
        case Phase::exited:
            break;
    }
    return State::exited;
}

Steps Life::start() {
    if (is_.phase != Phase::initial) return {};
    is_.phase = Phase::starting;
    return {Step::launch};
}

Steps Life::spawned(Mono now) {
    if (is_.phase != Phase::starting) return {};
    is_.main_alive = true;
    is_.phase = Phase::running;
    if (is_.kill_wanted) return kill_now(now);
    if (is_.end_wanted) return end_now(now);
    return {};
}

Steps Life::launch_failed() {
    if (is_.phase == Phase::starting) finish();
    return {};
}

Steps Life::main_exited(Mono now) {
    if (!is_.main_alive) return {};
    is_.main_alive = false;
    if (is_.phase == Phase::running) {
        is_.phase = Phase::lingering;
        is_.deadline = now + k_linger;
    }
    return {Step::count};
}

Steps Life::terminate(Mono now, std::optional<Duration> grace) {
    const Mono by = now + grace.value_or(is_.grace);
    switch (is_.phase) {
        case Phase::initial:
        case Phase::exited:
            return {};
        case Phase::starting:
            is_.deadline = is_.end_wanted && is_.deadline ? std::min(*is_.deadline, by) : by;
            is_.end_wanted = true;
            return {};
        case Phase::ending:
            is_.deadline = std::min(is_.deadline.value_or(by), by);
            return {Step::terminate};
        case Phase::killing:
            return {};
        case Phase::running:
        case Phase::lingering:
        case Phase::kept:
            break;
    }
    is_.end_wanted = true;
    is_.deadline = by;
    return end_now(now);
}

Steps Life::hurry(Mono now) {
    const bool in_grace = is_.phase == Phase::ending || (is_.phase == Phase::starting && is_.end_wanted);
    if (in_grace) is_.deadline = std::min(is_.deadline.value_or(now + is_.grace), now + is_.grace);
    return {};
}

Steps Life::kill(Mono now) {
    switch (is_.phase) {
        case Phase::initial:
        case Phase::exited:
            return {};
        case Phase::starting:
            is_.end_wanted = is_.kill_wanted = true;
            retry_later(now);
            return {Step::abandon};
        case Phase::running:
        case Phase::lingering:
        case Phase::kept:
        case Phase::ending:
        case Phase::killing:
            break;
    }
    is_.end_wanted = true;
    return kill_now(now);
}

Steps Life::counted(Mono now, std::size_t rest) {
    if (is_.main_alive || is_.phase == Phase::initial || is_.phase == Phase::starting ||
        is_.phase == Phase::exited)
        return {};
    if (rest == 0) {
        finish();
        return {};
    }
    if (is_.phase != Phase::lingering || !is_.linger_over) return {};
    // The main ended by itself, and these did not follow.
    is_.leftovers = rest;
    if (is_.keep_leftovers) {
        is_.phase = Phase::kept;
        is_.deadline.reset();
        return {};
    }
    is_.deadline = now + is_.grace;
    return end_now(now);
}

Steps Life::expired(Mono now) {
    switch (is_.phase) {
        case Phase::starting:
            if (!is_.end_wanted) return {};
            is_.kill_wanted = true;
            retry_later(now);
            return {Step::abandon};
        case Phase::lingering:
            is_.linger_over = true;
            is_.deadline.reset();
            return {Step::count};
        case Phase::ending:
            return kill_now(now);
        case Phase::killing:
            return kill_now(now);
        case Phase::initial:
        case Phase::running:
        case Phase::kept:
        case Phase::exited:
            break;
    }
    is_.deadline.reset();
    return {};
}

Steps Life::release_kept(Mono now) {
    if (is_.phase != Phase::kept) return {};
    is_.deadline = now + is_.grace;
    return end_now(now);
}

Steps Life::resume(Mono now, bool again) {
    switch (is_.phase) {
        case Phase::ending:
            if (again) return end_now(now);
            break;
        case Phase::killing:
            return kill_now(now);
        case Phase::lingering:
        case Phase::kept:
            break;
        case Phase::initial:
        case Phase::starting:
        case Phase::running:
        case Phase::exited:
            return {};
    }
    return is_.main_alive ? Steps{} : Steps{Step::count};
}

Steps Life::end_now(Mono now) {
    is_.phase = Phase::ending;
    if (!is_.deadline) is_.deadline = now + is_.grace;
    Steps steps{Step::terminate};
    if (!is_.main_alive) steps.push_back(Step::count);
    return steps;
}

Steps Life::kill_now(Mono now) {
    if (is_.phase != Phase::killing) is_.retry = k_first_retry;
    is_.phase = Phase::killing;
    retry_later(now);
    Steps steps{Step::kill};
    if (!is_.main_alive) steps.push_back(Step::count);
    return steps;
}

void Life::retry_later(Mono now) {
    is_.deadline = now + is_.retry;
    is_.retry = std::min(is_.retry * 2, k_last_retry);
}

void Life::finish() {
    is_.phase = Phase::exited;
    is_.deadline.reset();
}

}  // namespace procd::core
