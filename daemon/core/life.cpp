#include "daemon/core/life.hpp"

#include <algorithm>

namespace procd::core {

State Life::state() const {
    switch (phase_) {
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
    if (phase_ != Phase::initial) return {};
    phase_ = Phase::starting;
    return {Step::launch};
}

Steps Life::spawned(Mono now) {
    if (phase_ != Phase::starting) return {};
    main_alive_ = true;
    phase_ = Phase::running;
    if (kill_wanted_) return kill_now(now);
    if (end_wanted_) return end_now(now);
    return {};
}

Steps Life::launch_failed() {
    if (phase_ == Phase::starting) finish();
    return {};
}

Steps Life::main_exited(Mono now) {
    if (!main_alive_) return {};
    main_alive_ = false;
    if (phase_ == Phase::running) {
        phase_ = Phase::lingering;
        deadline_ = now + k_linger;
    }
    return {Step::count};
}

Steps Life::terminate(Mono now, std::optional<Duration> grace) {
    const Mono by = now + grace.value_or(grace_);
    switch (phase_) {
        case Phase::initial:
        case Phase::exited:
            return {};
        case Phase::starting:
            deadline_ = end_wanted_ && deadline_ ? std::min(*deadline_, by) : by;
            end_wanted_ = true;
            return {};
        case Phase::ending:
            deadline_ = std::min(deadline_.value_or(by), by);
            return {Step::terminate};
        case Phase::killing:
            return {};
        case Phase::running:
        case Phase::lingering:
        case Phase::kept:
            break;
    }
    end_wanted_ = true;
    deadline_ = by;
    return end_now(now);
}

Steps Life::hurry(Mono now) {
    const bool in_grace = phase_ == Phase::ending || (phase_ == Phase::starting && end_wanted_);
    if (in_grace) deadline_ = std::min(deadline_.value_or(now + grace_), now + grace_);
    return {};
}

Steps Life::kill(Mono now) {
    switch (phase_) {
        case Phase::initial:
        case Phase::exited:
            return {};
        case Phase::starting:
            end_wanted_ = kill_wanted_ = true;
            retry_later(now);
            return {Step::abandon};
        case Phase::running:
        case Phase::lingering:
        case Phase::kept:
        case Phase::ending:
        case Phase::killing:
            break;
    }
    end_wanted_ = true;
    return kill_now(now);
}

Steps Life::counted(Mono now, std::size_t rest) {
    if (main_alive_ || phase_ == Phase::initial || phase_ == Phase::starting || phase_ == Phase::exited)
        return {};
    if (rest == 0) {
        finish();
        return {};
    }
    if (phase_ != Phase::lingering || !linger_over_) return {};
    // The main ended by itself, and these did not follow.
    leftovers_ = rest;
    if (keep_leftovers_) {
        phase_ = Phase::kept;
        deadline_.reset();
        return {};
    }
    deadline_ = now + grace_;
    return end_now(now);
}

Steps Life::expired(Mono now) {
    switch (phase_) {
        case Phase::starting:
            if (!end_wanted_) return {};
            kill_wanted_ = true;
            retry_later(now);
            return {Step::abandon};
        case Phase::lingering:
            linger_over_ = true;
            deadline_.reset();
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
    deadline_.reset();
    return {};
}

Steps Life::release_kept(Mono now) {
    if (phase_ != Phase::kept) return {};
    deadline_ = now + grace_;
    return end_now(now);
}

Steps Life::end_now(Mono now) {
    phase_ = Phase::ending;
    if (!deadline_) deadline_ = now + grace_;
    Steps steps{Step::terminate};
    if (!main_alive_) steps.push_back(Step::count);
    return steps;
}

Steps Life::kill_now(Mono now) {
    if (phase_ != Phase::killing) retry_ = k_first_retry;
    phase_ = Phase::killing;
    retry_later(now);
    Steps steps{Step::kill};
    if (!main_alive_) steps.push_back(Step::count);
    return steps;
}

void Life::retry_later(Mono now) {
    deadline_ = now + retry_;
    retry_ = std::min(retry_ * 2, k_last_retry);
}

void Life::finish() {
    phase_ = Phase::exited;
    deadline_.reset();
}

}  // namespace procd::core
