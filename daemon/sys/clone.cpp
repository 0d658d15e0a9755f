#include "daemon/sys/clone.hpp"

#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/sys/raw_syscall.hpp"

namespace procd::sys {
namespace {

// Room for execve's path handling and a deep call or two; nothing in the child allocates.
constexpr std::size_t k_stack_bytes = 64 * 1024;

}  // namespace

PROCD_NO_SANITIZE long clone_on_stack(clone_args& arguments, void (*entry)(void*), void* argument) {
#if defined(__x86_64__)
    register void (*fn)(void*) __asm__("r8") = entry;
    register void* arg __asm__("r9") = argument;
    long result;
    __asm__ volatile(
        "syscall\n\t"
        "test %%rax, %%rax\n\t"
        "jnz 1f\n\t"
        // The child: registers as in the parent, the stack its own and 16-byte aligned.
        "xor %%ebp, %%ebp\n\t"
        "mov %%r9, %%rdi\n\t"
        "call *%%r8\n\t"
        "ud2\n"
        "1:"
        : "=a"(result)
        : "a"(SYS_clone3), "D"(&arguments), "S"(sizeof arguments), "r"(fn), "r"(arg)
        : "rcx", "r11", "memory", "cc");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = as_argument(&arguments);
    register long x1 __asm__("x1") = sizeof arguments;
    register void (*fn)(void*) __asm__("x10") = entry;
    register void* arg __asm__("x11") = argument;
    __asm__ volatile(
        "svc 0\n\t"
        "cbnz x0, 1f\n\t"
        "mov x29, xzr\n\t"
        "mov x0, x11\n\t"
        "blr x10\n\t"
        "brk 1\n"
        "1:"
        : "+r"(x0)
        : "r"(x8), "r"(x1), "r"(fn), "r"(arg)
        : "memory", "cc");
    return x0;
#endif
}

ChildStack::ChildStack() : page_(static_cast<std::size_t>(::sysconf(_SC_PAGESIZE))) {
    void* const memory = ::mmap(nullptr, page_ + k_stack_bytes, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return;
    base_ = memory;
    ::mprotect(base_, page_, PROT_NONE);
}

ChildStack::~ChildStack() {
    if (base_ != nullptr) ::munmap(base_, page_ + k_stack_bytes);
}

std::uint64_t ChildStack::base() const {
    return reinterpret_cast<std::uint64_t>(base_) + page_;
}

std::uint64_t ChildStack::size() const {
    return k_stack_bytes;
}

ChildStack& ChildStack::of_thread() {
    static thread_local ChildStack stack;
    return stack;
}

AllSignalsBlocked::AllSignalsBlocked() {
    const std::uint64_t all = ~std::uint64_t{0};
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, as_argument(&all), as_argument(&before_), sizeof all);
}

AllSignalsBlocked::~AllSignalsBlocked() {
    raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, as_argument(&before_), 0, sizeof before_);
}

}  // namespace procd::sys
