#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <utility>

#include "proto/codec.hpp"

// The text of a message without the tree of values in between: what dump(encode(message)) gives, several
// times as fast, for what is written often.
namespace procd::proto {

template <class T>
void append_text(std::string& out, const T& value);

inline void append_string(std::string& out, std::string_view text) {
    const auto is_plain = [](char byte) { return byte >= ' ' && byte <= '~' && byte != '"' && byte != '\\'; };
    for (const char byte : text)
        if (!is_plain(byte)) {
            out += dump(OrderedJson(text));
            return;
        }
    out += '"';
    out += text;
    out += '"';
}

template <std::integral Number>
void append_number(std::string& out, Number number) {
    std::array<char, 24> digits;
    out.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

template <Message T>
void append_message(std::string& out, const T& message) {
    out += '{';
    bool is_first = true;
    const auto begin = [&](const char* name) {
        if (!std::exchange(is_first, false)) out += ',';
        out += '"';
        out += name;
        out += "\":";
    };
    T::fields(message, [&](const char* name, const auto& member, const char*) {
        using Member = std::remove_cvref_t<decltype(member)>;
        if constexpr (IsOptional<Member>::value) {
            if (!member && !writes_nulls<T>()) return;
            begin(name);
            if (member)
                append_text(out, *member);
            else
                out += "null";
        } else {
            begin(name);
            append_text(out, member);
        }
    });
    out += '}';
}

template <class T>
void append_text(std::string& out, const T& value) {
    if constexpr (SelfCoded<T>) {
        const OrderedJson json = value.to_json();
        if (json.is_string())
            append_string(out, json.get_ref<const std::string&>());
        else
            out += dump(json);
    } else if constexpr (Message<T>) {
        append_message(out, value);
    } else if constexpr (WireEnum<T>) {
        append_string(out, enum_text(value));
    } else if constexpr (IsVector<T>::value) {
        out += '[';
        for (std::size_t i = 0; i < value.size(); ++i) {
            if (i > 0) out += ',';
            append_text(out, value[i]);
        }
        out += ']';
    } else if constexpr (std::same_as<T, std::string>) {
        append_string(out, value);
    } else if constexpr (std::integral<T> && !std::same_as<T, bool>) {
        append_number(out, value);
    } else {
        out += dump(encode(value));
    }
}

template <class T>
std::string text_of(const T& value) {
    std::string text;
    append_text(text, value);
    return text;
}

}  // namespace procd::proto
