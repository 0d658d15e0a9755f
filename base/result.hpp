#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace procd {

// What went wrong in a system call: which operation, on what, and the errno (0: no errno applies).
// message() reads "open /run/procd/procd.sock.lock: Permission denied".
struct SysError {
    std::string operation;
    std::string subject;
    int error = 0;

    std::string message() const;
    // Nothing is wrong with the subject: procd, the user or the machine has no descriptor, memory or room
    // left.
    bool is_shortage() const;
};

// A value or the SysError that kept it from being. (g++ 12 has no std::expected.)
template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    Result(SysError error) : content_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return content_.index() == 0; }
    T& value() & { return std::get<0>(content_); }
    const T& value() const& { return std::get<0>(content_); }
    T&& value() && { return std::get<0>(std::move(content_)); }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    const SysError& error() const { return std::get<1>(content_); }

  private:
    std::variant<T, SysError> content_;
};

// Success, or the SysError.
template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(SysError error) : error_(std::move(error)) {}

    explicit operator bool() const { return !error_.has_value(); }
    const SysError& error() const { return *error_; }

  private:
    std::optional<SysError> error_;
};

}  // namespace procd
