#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "proto/error.hpp"

namespace procd::client {

// Why a call has no result.
struct Error {
    enum class Kind {
        refused,       // procd said no: `refusal` and `object` say how
        out_of_reach,  // nobody answers at `path`, or not any more; `error` is the errno (0: closed by procd)
        protocol,      // what came makes no sense
        timed_out,
    };
    Kind kind = Kind::protocol;
    std::string message;        // a sentence for people
    std::string refusal;        // the word in data.kind, as it came: a newer procd may have words of its own
    proto::OrderedJson object;  // {code, message, data} as it came
    int error = 0;
    std::string path;

    bool is(proto::ErrorKind wanted) const {
        return kind == Kind::refused && refusal == proto::to_text(wanted);
    }

    // An error like one of procd's own, for what is found wrong before anything is sent.
    static Error refused(proto::ErrorKind kind, std::string message);
};

// A value, or why there is none.
template <class T, class E = Error>
class [[nodiscard]] Result {
  public:
    Result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    Result(E error) : content_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const { return content_.index() == 0; }
    T& operator*() & { return std::get<0>(content_); }
    const T& operator*() const& { return std::get<0>(content_); }
    T&& operator*() && { return std::get<0>(std::move(content_)); }
    T* operator->() { return &std::get<0>(content_); }
    const T* operator->() const { return &std::get<0>(content_); }
    const E& error() const { return std::get<1>(content_); }

  private:
    std::variant<T, E> content_;
};

template <class E>
class [[nodiscard]] Result<void, E> {
  public:
    Result() = default;
    Result(E error) : error_(std::move(error)) {}

    explicit operator bool() const { return !error_.has_value(); }
    const E& error() const { return *error_; }

  private:
    std::optional<E> error_;
};

}  // namespace procd::client
