#include <array>
#include <functional>
#include <random>
#include <string>

#include <doctest/doctest.h>

#include "daemon/core/life.hpp"

using namespace procd::core;
using namespace std::chrono_literals;

namespace {

constexpr Mono k_then(1000s);

const char* text(Phase phase) {
    switch (phase) {
        case Phase::initial:
            return "initial";
        case Phase::starting:
            return "starting";
        case Phase::running:
            return "running";
        case Phase::lingering:
            return "lingering";
        case Phase::kept:
            return "kept";
        case Phase::ending:
            return "ending";
        case Phase::killing:
            return "killing";
        case Phase::exited:
            return "exited";
    }
    return "?";
}

std::string text(const Steps& steps) {
    std::string letters;
    for (const Step step : steps) letters += "LATKC"[static_cast<std::size_t>(step)];
    return letters;
}

struct Input {
    const char* name;
    std::function<Steps(Life&)> put;
};
const std::array k_inputs{
    Input{"start", [](Life& life) { return life.start(); }},
    Input{"spawned", [](Life& life) { return life.spawned(k_then); }},
    Input{"launch_failed", [](Life& life) { return life.launch_failed(); }},
    Input{"main_exited", [](Life& life) { return life.main_exited(k_then); }},
    Input{"terminate", [](Life& life) { return life.terminate(k_then, std::nullopt); }},
    Input{"kill", [](Life& life) { return life.kill(k_then); }},
    Input{"counted(0)", [](Life& life) { return life.counted(k_then, 0); }},
    Input{"counted(2)", [](Life& life) { return life.counted(k_then, 2); }},
    Input{"expired", [](Life& life) { return life.expired(k_then); }},
    Input{"release_kept", [](Life& life) { return life.release_kept(k_then); }},
    Input{"hurry", [](Life& life) { return life.hurry(k_then); }},
};

// The letters of a row's prefix: s(tart) p(spawned) f(ailed) m(ain exited) t(erminate) k(ill) 0, 2 (counted),
// e(xpired), r(elease kept), h(urry).
constexpr std::string_view k_letters = "spfmtk02erh";

Life after(std::string_view prefix, bool keep) {
    Life life(10s, keep);
    for (const char letter : prefix) k_inputs[k_letters.find(letter)].put(life);
    return life;
}

// One row a phase, and one more for each that remembers something. A cell: the phase that follows, '@' with a
// deadline or '.' without, and the steps: L(aunch) A(bandon) T(erminate) K(ill) C(ount). "=": nothing
// changes.
struct Row {
    const char* state;
    std::string_view prefix;
    bool keep;
    std::array<const char*, 11> cells;
};
// clang-format off
const std::array k_table{
//   state                 prefix     keep   start         spawned       failed     main_exited     terminate     kill            counted(0)  counted(2)    expired         release      hurry
Row{"initial",             "",        false, {"starting.L", "=",          "=",       "=",            "=",          "=",            "=",        "=",          "=",            "=", "="}},
Row{"starting",            "s",       false, {"=",          "running.",   "exited.", "=",            "starting@",  "starting@A",   "=",        "=",          "=",            "=", "="}},
Row{"starting, end asked", "st",      false, {"=",          "ending@T",   "exited.", "=",            "=",          "starting@A",   "=",        "=",          "starting@A",   "=", "="}},
Row{"starting, kill asked","sk",      false, {"=",          "killing@K",  "exited.", "=",            "=",          "starting@A",   "=",        "=",          "starting@A",   "=", "="}},
Row{"running",             "sp",      false, {"=",          "=",          "=",       "lingering@C",  "ending@T",   "killing@K",    "=",        "=",          "=",            "=", "="}},
Row{"lingering",           "spm",     false, {"=",          "=",          "=",       "=",            "ending@TC",  "killing@KC",   "exited.",  "=",          "lingering.C",  "=", "="}},
Row{"lingering is over",   "spme",    false, {"=",          "=",          "=",       "=",            "ending@TC",  "killing@KC",   "exited.",  "ending@TC",  "lingering.C",  "=", "="}},
Row{"the same, to keep",   "spme",    true,  {"=",          "=",          "=",       "=",            "ending@TC",  "killing@KC",   "exited.",  "kept.",      "lingering.C",  "=", "="}},
Row{"kept",                "spme2",   true,  {"=",          "=",          "=",       "=",            "ending@TC",  "killing@KC",   "exited.",  "=",          "=",            "ending@TC", "="}},
Row{"ending",              "spt",     false, {"=",          "=",          "=",       "ending@C",     "ending@T",   "killing@K",    "=",        "=",          "killing@K",    "=", "="}},
Row{"ending, main gone",   "sptm",    false, {"=",          "=",          "=",       "=",            "ending@T",   "killing@KC",   "exited.",  "=",          "killing@KC",   "=", "="}},
Row{"ending leftovers",    "spme2",   false, {"=",          "=",          "=",       "=",            "ending@T",   "killing@KC",   "exited.",  "=",          "killing@KC",   "=", "="}},
Row{"killing",             "spk",     false, {"=",          "=",          "=",       "killing@C",    "=",          "killing@K",    "=",        "=",          "killing@K",    "=", "="}},
Row{"killing, main gone",  "spkm",    false, {"=",          "=",          "=",       "=",            "=",          "killing@KC",   "exited.",  "=",          "killing@KC",   "=", "="}},
Row{"exited",              "spm0",    false, {"=",          "=",          "=",       "=",            "=",          "=",            "=",        "=",          "=",            "=", "="}},
Row{"could not start",     "sf",      false, {"=",          "=",          "=",       "=",            "=",          "=",            "=",        "=",          "=",            "=", "="}},
};
// clang-format on

}  // namespace

TEST_CASE("every phase answers every input as the table says") {
    for (const Row& row : k_table) {
        for (std::size_t i = 0; i < k_inputs.size(); ++i) {
            Life life = after(row.prefix, row.keep);
            const Phase before = life.phase();
            const auto deadline = life.deadline();
            const Steps steps = k_inputs[i].put(life);
            CAPTURE(row.state);
            CAPTURE(k_inputs[i].name);
            const std::string seen =
                text(life.phase()) + std::string(life.deadline() ? "@" : ".") + text(steps);
            const bool nothing = life.phase() == before && life.deadline() == deadline && steps.empty();
            if (std::string_view(row.cells[i]) == "=")
                CHECK_MESSAGE(nothing, "it became " << seen);
            else
                CHECK(seen == row.cells[i]);
        }
    }
}

TEST_CASE("the table has a row for each of the eight phases") {
    std::array<bool, 8> seen{};
    for (const Row& row : k_table) seen[static_cast<std::size_t>(after(row.prefix, row.keep).phase())] = true;
    for (const bool phase : seen) CHECK(phase);
}

TEST_CASE("each phase shows as one of the four states") {
    CHECK(after("", false).state() == State::initial);
    CHECK(after("s", false).state() == State::initial);
    CHECK(after("sp", false).state() == State::running);
    for (const char* stopping : {"spm", "spt", "spk", "sptm"})
        CHECK(after(stopping, false).state() == State::stopping);
    CHECK(after("spme2", true).state() == State::stopping);
    CHECK(after("sf", false).state() == State::exited);
}

TEST_CASE("what the main leaves behind has 200 ms to go by itself") {
    Life life = after("spm", false);
    CHECK(life.deadline() == k_then + 200ms);
    life.expired(k_then + 200ms);
    life.counted(k_then + 200ms, 3);
    CHECK(life.leftovers() == 3);
    CHECK(life.deadline() == k_then + 200ms + 10s);
    CHECK_FALSE(life.end_wanted());
}

TEST_CASE("a later terminate shortens the grace and never lengthens it") {
    Life life = after("sp", false);
    life.terminate(k_then, 5s);
    CHECK(life.deadline() == k_then + 5s);
    life.terminate(k_then + 1s, 60s);
    CHECK(life.deadline() == k_then + 5s);
    life.terminate(k_then + 1s, std::nullopt);
    CHECK(life.deadline() == k_then + 5s);
    life.terminate(k_then + 1s, 1s);
    CHECK(life.deadline() == k_then + 2s);
    life.terminate(k_then + 1s, 0s);
    CHECK(life.deadline() == k_then + 1s);
}

TEST_CASE("who is in a hurry leaves a process its own grace and no more") {
    Life life = after("sp", false);
    life.terminate(k_then, 1h);
    life.hurry(k_then + 1s);
    CHECK(life.deadline() == k_then + 11s);
    life.hurry(k_then + 5s);
    CHECK(life.deadline() == k_then + 11s);

    Life starting = after("s", false);
    starting.terminate(k_then, 1h);
    starting.hurry(k_then);
    CHECK(starting.deadline() == k_then + 10s);
}

TEST_CASE("an end that is asked for before the exec begins after it, within the same grace") {
    Life life = after("s", false);
    CHECK(life.terminate(k_then, 5s).empty());
    CHECK(life.spawned(k_then + 2s) == Steps{Step::terminate});
    CHECK(life.deadline() == k_then + 5s);
}

TEST_CASE("a kill is repeated, ever more slowly, until the tree is gone") {
    Life life = after("spkm", false);
    Mono at = k_then;
    Duration wait = 10ms;
    for (int i = 0; i < 12; ++i) {
        CHECK(life.deadline() == at + wait);
        at = *life.deadline();
        CHECK(life.expired(at) == Steps{Step::kill, Step::count});
        wait = std::min<Duration>(wait * 2, 1s);
    }
    life.counted(at, 0);
    CHECK(life.phase() == Phase::exited);
    CHECK_FALSE(life.deadline());
}

TEST_CASE("whatever happens in whatever order, a life keeps its promises") {
    std::mt19937 random(20240607);
    for (int round = 0; round < 3000; ++round) {
        Life life(10s, round % 2 == 0);
        Mono now = k_then;
        bool alive = false;
        bool wanted = false;
        for (int step = 0; step < 40; ++step) {
            now += std::chrono::milliseconds(random() % 3000);
            const Phase before = life.phase();
            const auto deadline = life.deadline();
            const auto input = random() % 11;
            Steps steps;
            switch (input) {
                case 0:
                    steps = life.start();
                    break;
                case 1:
                    steps = life.spawned(now);
                    alive = alive || before == Phase::starting;
                    break;
                case 2:
                    steps = life.launch_failed();
                    break;
                case 3:
                    steps = life.main_exited(now);
                    alive = false;
                    break;
                case 4:
                    steps = life.terminate(now, std::chrono::seconds(random() % 20));
                    break;
                case 5:
                    steps = life.kill(now);
                    break;
                case 6:
                    steps = life.counted(now, 0);
                    break;
                case 7:
                    steps = life.counted(now, 1 + random() % 5);
                    break;
                case 8:
                    if (deadline && *deadline <= now) steps = life.expired(now);
                    break;
                case 9:
                    steps = life.release_kept(now);
                    break;
                default:
                    steps = life.hurry(now);
                    break;
            }
            CAPTURE(round);
            CAPTURE(step);
            CAPTURE(input);
            REQUIRE(life.main_alive() == alive);
            if (before == Phase::exited)
                REQUIRE((life.phase() == Phase::exited && steps.empty() && !life.deadline()));
            if (before != Phase::initial) REQUIRE(life.phase() != Phase::initial);
            if (life.phase() == Phase::exited) REQUIRE_FALSE(alive);
            // The grace is never lengthened.
            if (before == Phase::ending && life.phase() == Phase::ending)
                REQUIRE(*life.deadline() <= *deadline);
            // Whoever is being ended is never forgotten.
            wanted = wanted || (life.phase() == Phase::ending || life.phase() == Phase::killing);
            if (wanted && life.phase() != Phase::exited) REQUIRE(life.deadline().has_value());
            REQUIRE((!life.end_wanted() || life.phase() != Phase::initial));
        }
        // An end that is wanted comes, if the world obeys SIGKILL and the spawner.
        if (life.phase() == Phase::initial) continue;
        Steps todo = life.kill(now);
        for (int i = 0; i < 20 && life.phase() != Phase::exited; ++i) {
            const bool abandon = std::find(todo.begin(), todo.end(), Step::abandon) != todo.end();
            const bool kill = std::find(todo.begin(), todo.end(), Step::kill) != todo.end();
            const bool count = std::find(todo.begin(), todo.end(), Step::count) != todo.end();
            if (abandon)
                todo = life.launch_failed();
            else if (kill && life.main_alive())
                todo = life.main_exited(now);
            else if (count)
                todo = life.counted(now, i < 3 ? 1 : 0);
            else if (life.deadline())
                todo = life.expired(now = *life.deadline());
        }
        REQUIRE(life.phase() == Phase::exited);
    }
}
