#pragma once

#include <cstddef>
#include <cstdint>

struct clone_args;

namespace procd::sys {

// clone3(2) with a child that runs entry(argument) on the stack named in the arguments. A child that shares
// the caller's memory must not share its stack frame: both would return through it. Returns in the caller
// only: the child's pid, or -errno. entry must not return.
long clone_on_stack(clone_args& arguments, void (*entry)(void*), void* argument);

// The stack of the children of one thread, one after the other: the thread sleeps while a child uses it.
// A guard page below makes an overflow a crash of the child, not a corruption of procd.
class ChildStack {
  public:
    ChildStack();
    ~ChildStack();
    ChildStack(const ChildStack&) = delete;
    ChildStack& operator=(const ChildStack&) = delete;

    // False where there was no memory for it.
    explicit operator bool() const { return base_ != nullptr; }
    std::uint64_t base() const;
    std::uint64_t size() const;

    // This thread's own.
    static ChildStack& of_thread();

  private:
    void* base_ = nullptr;
    std::size_t page_;
};

// All signals blocked for a scope, those of libc included: a handler must not run on a child's stack.
class AllSignalsBlocked {
  public:
    AllSignalsBlocked();
    ~AllSignalsBlocked();
    AllSignalsBlocked(const AllSignalsBlocked&) = delete;
    AllSignalsBlocked& operator=(const AllSignalsBlocked&) = delete;

  private:
    std::uint64_t before_ = 0;
};

}  // namespace procd::sys
