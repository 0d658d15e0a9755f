#include "proto/types.hpp"

#include <charconv>
#include <cmath>
#include <set>

#include "proto/base64.hpp"
#include "proto/signals.hpp"

namespace procd::proto {
namespace {

OrderedJson type(const char* name) {
    return OrderedJson{{"type", name}};
}

OrderedJson words(std::initializer_list<const char*> texts) {
    return OrderedJson{{"enum", texts}};
}

// {"type": "object", "properties": {name: schema}, "required": [name], "additionalProperties": false}
OrderedJson object_with(const char* name, OrderedJson schema) {
    OrderedJson object = type("object");
    object["properties"][name] = std::move(schema);
    object["required"] = OrderedJson::array({name});
    object["additionalProperties"] = false;
    return object;
}

OrderedJson one_of(std::initializer_list<OrderedJson> schemas) {
    OrderedJson alternatives = OrderedJson::array();
    for (const OrderedJson& schema : schemas) alternatives.push_back(schema);
    return OrderedJson{{"oneOf", std::move(alternatives)}};
}

// The only member of an object like {"fd": 3}; anything else is an error that shows what was expected.
std::pair<std::string, const Json*> only_member(const Json& json, const Path& path, const char* expected) {
    if (!json.is_object() || json.size() != 1) throw DecodeError(path, expected);
    return {json.begin().key(), &json.begin().value()};
}

}  // namespace

bool is_utf8(std::string_view text) {
    std::size_t i = 0;
    while (i < text.size()) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const std::size_t length = lead < 0x80       ? 1
                                   : lead >> 5 == 6  ? 2
                                   : lead >> 4 == 14 ? 3
                                   : lead >> 3 == 30 ? 4
                                                     : 0;
        if (length == 0 || i + length > text.size()) return false;
        unsigned code = length == 1 ? lead : lead & (0xffU >> (length + 1));
        for (std::size_t k = 1; k < length; ++k) {
            const auto next = static_cast<unsigned char>(text[i + k]);
            if (next >> 6 != 2) return false;
            code = code << 6 | (next & 0x3fU);
        }
        constexpr std::array<unsigned, 5> k_smallest{0, 0, 0x80, 0x800, 0x10000};
        if (code < k_smallest[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
        i += length;
    }
    return true;
}

// ---- Bytes -----------------------------------------------------------------------------------------------

Bytes Bytes::from_json(const Json& json, const Path& path) {
    Bytes bytes{Data::from_json(json, path).value};
    if (bytes.value.find('\0') != std::string::npos) throw DecodeError(path, "has a NUL in it");
    return bytes;
}

OrderedJson Bytes::to_json() const {
    if (is_utf8(value)) return value;
    return OrderedJson{{"base64", base64_encode(value)}};
}

OrderedJson Bytes::schema() {
    return one_of({type("string"), object_with("base64", type("string"))});
}

// ---- Data ------------------------------------------------------------------------------------------------

Data Data::from_json(const Json& json, const Path& path) {
    if (json.is_string()) return {json.get_ref<const std::string&>()};
    constexpr const char* k_expected = "expected a string or {\"base64\": \"…\"}";
    const auto [key, value] = only_member(json, path, k_expected);
    if (key != "base64" || !value->is_string()) throw DecodeError(path, k_expected);
    auto decoded = base64_decode(value->get_ref<const std::string&>());
    if (!decoded) throw DecodeError(path, "is not base64 (RFC 4648)");
    return {std::move(*decoded)};
}

OrderedJson Data::to_json() const {
    if (value.find('\0') == std::string::npos) return Bytes{value}.to_json();
    return OrderedJson{{"base64", base64_encode(value)}};
}

OrderedJson Data::schema() {
    return Bytes::schema();
}

// ---- Seconds, Umask, Signal, counts ----------------------------------------------------------------------

Seconds Seconds::from_json(const Json& json, const Path& path) {
    Seconds seconds;
    decode_number(json, seconds.value, path);
    if (seconds.value < 0) throw DecodeError(path, "expected seconds, a number ≥ 0");
    return seconds;
}

OrderedJson Seconds::schema() {
    return OrderedJson{{"type", "number"}, {"minimum", 0}};
}

Umask Umask::from_json(const Json& json, const Path& path) {
    constexpr const char* k_expected = "expected octal digits like \"022\", at most \"777\"";
    if (!json.is_string()) throw DecodeError(path, k_expected);
    const auto& text = json.get_ref<const std::string&>();
    Umask umask;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, umask.value, 8);
    if (error != std::errc() || stop != end || umask.value > 0777) throw DecodeError(path, k_expected);
    return umask;
}

OrderedJson Umask::to_json() const {
    std::string text;
    for (int shift = 6; shift >= 0; shift -= 3) text += static_cast<char>('0' + ((value >> shift) & 7U));
    return text;
}

OrderedJson Umask::schema() {
    return OrderedJson{{"type", "string"}, {"pattern", "^[0-7]{1,4}$"}};
}

ByteCount ByteCount::from_json(const Json& json, const Path& path) {
    std::int64_t value = 0;
    decode_integer(json, value, path, 0, std::numeric_limits<std::int64_t>::max());
    return {static_cast<std::uint64_t>(value)};
}

OrderedJson ByteCount::schema() {
    return OrderedJson{{"type", "integer"}, {"minimum", 0}};
}

PieceCount PieceCount::from_json(const Json& json, const Path& path) {
    std::int64_t value = 0;
    decode_integer(json, value, path, 0, k_most);
    return {static_cast<unsigned>(value)};
}

OrderedJson PieceCount::schema() {
    return OrderedJson{{"type", "integer"}, {"minimum", 0}, {"maximum", k_most}};
}

Signal Signal::from_json(const Json& json, const Path& path) {
    std::optional<int> number;
    if (json.is_string()) {
        number = signal_number(json.get_ref<const std::string&>());
        if (!number) throw DecodeError(path, "is no signal's name");
    } else {
        std::int64_t value = 0;
        decode_integer(json, value, path, 1, signal_highest());
        number = static_cast<int>(value);
    }
    return Signal{*number};
}

OrderedJson Signal::schema() {
    return one_of(
        {OrderedJson{{"type", "integer"}, {"minimum", 1}, {"maximum", signal_highest()}}, type("string")});
}

// ---- Environment -----------------------------------------------------------------------------------------

Environment Environment::from_json(const Json& json, const Path& path) {
    Environment environment;
    if (json.is_object()) {
        for (const auto& [name, value] : json.items()) {
            const Path here{&path, name, std::nullopt};
            if (name.empty() || name.find('=') != std::string::npos || name.find('\0') != std::string::npos)
                throw DecodeError(path, "a variable's name is empty or has '=' or NUL in it");
            environment.entries.push_back(name + '=' + Bytes::from_json(value, here).value);
        }
        return environment;
    }
    if (!json.is_array()) throw DecodeError(path, "expected an object, or an array of \"NAME=value\"");
    for (std::size_t i = 0; i < json.size(); ++i) {
        const Path here{&path, {}, i};
        std::string entry = Bytes::from_json(json[i], here).value;
        const std::size_t equals = entry.find('=');
        if (equals == 0 || equals == std::string::npos) throw DecodeError(here, "expected \"NAME=value\"");
        environment.entries.push_back(std::move(entry));
    }
    return environment;
}

OrderedJson Environment::to_json() const {
    bool plain = true;
    std::set<std::string_view> names;
    for (const std::string& entry : entries)
        plain = plain && is_utf8(entry) &&
                names.insert(std::string_view(entry).substr(0, entry.find('='))).second;
    if (!plain) {
        OrderedJson array = OrderedJson::array();
        for (const std::string& entry : entries) array.push_back(Bytes{entry}.to_json());
        return array;
    }
    OrderedJson object = OrderedJson::object();
    auto& members = object.get_ref<OrderedJson::object_t&>();
    for (const std::string& entry : entries) {
        const std::size_t equals = entry.find('=');
        members.emplace_back(entry.substr(0, equals), entry.substr(equals + 1));
    }
    return object;
}

OrderedJson Environment::schema() {
    OrderedJson object = type("object");
    object["additionalProperties"] = Bytes::schema();
    OrderedJson array = type("array");
    array["items"] = Bytes::schema();
    return one_of({object, array});
}

// ---- ResourceLimits --------------------------------------------------------------------------------------

namespace {

std::uint64_t limit_value(const Json& json, const Path& path) {
    if (json == "unlimited") return ResourceLimits::k_unlimited;
    std::int64_t value = 0;
    if (!json.is_number_integer()) throw DecodeError(path, "expected an integer ≥ 0 or \"unlimited\"");
    decode_integer(json, value, path, 0, std::numeric_limits<std::int64_t>::max());
    return static_cast<std::uint64_t>(value);
}

OrderedJson limit_json(std::uint64_t value) {
    // What JSON integers of 63 bits cannot say is as good as unlimited.
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return "unlimited";
    return value;
}

}  // namespace

ResourceLimits ResourceLimits::from_json(const Json& json, const Path& path) {
    require_object(json, path);
    ResourceLimits limits;
    for (const auto& [name, value] : json.items()) {
        const Path here{&path, name, std::nullopt};
        if (std::find(k_names.begin(), k_names.end(), name) == k_names.end())
            throw DecodeError(here, "is no resource limit");
        Limit limit{name, 0, 0};
        if (value.is_array()) {
            if (value.size() != 2) throw DecodeError(here, "expected [soft, hard]");
            limit.soft = limit_value(value[0], Path{&here, {}, 0});
            limit.hard = limit_value(value[1], Path{&here, {}, 1});
        } else {
            limit.soft = limit.hard = limit_value(value, here);
        }
        if (limit.soft > limit.hard) throw DecodeError(here, "the soft limit is above the hard one");
        limits.limits.push_back(std::move(limit));
    }
    return limits;
}

OrderedJson ResourceLimits::to_json() const {
    OrderedJson object = OrderedJson::object();
    for (const Limit& limit : limits)
        object[limit.name] = OrderedJson::array({limit_json(limit.soft), limit_json(limit.hard)});
    return object;
}

OrderedJson ResourceLimits::schema() {
    const OrderedJson value =
        one_of({OrderedJson{{"type", "integer"}, {"minimum", 0}}, words({"unlimited"})});
    OrderedJson pair = type("array");
    pair["items"] = value;
    pair["minItems"] = 2;
    pair["maxItems"] = 2;
    OrderedJson object = type("object");
    for (const std::string_view name : k_names)
        object["properties"][std::string(name)] = one_of({pair, value});
    object["additionalProperties"] = false;
    return object;
}

// ---- StdioTarget -----------------------------------------------------------------------------------------

StdioTarget StdioTarget::from_json(const Json& json, const Path& path) {
    constexpr const char* k_expected =
        "expected \"null\", \"log\", \"stdout\", \"separate\", {\"fd\": i} or {\"file\": path, \"append\"?: "
        "bool}";
    StdioTarget target;
    if (json.is_string()) {
        const auto& word = json.get_ref<const std::string&>();
        if (word == "null")
            target.kind = Kind::null;
        else if (word == "log")
            target.kind = Kind::log;
        else if (word == "stdout")
            target.kind = Kind::as_stdout;
        else if (word == "separate")
            target.kind = Kind::separate;
        else
            throw DecodeError(path, k_expected);
        return target;
    }
    if (!json.is_object() || json.contains("fd") == json.contains("file"))
        throw DecodeError(path, k_expected);
    for (const auto& [key, value] : json.items()) {
        const Path here{&path, key, std::nullopt};
        if (key == "fd") {
            std::int64_t index = 0;
            decode_integer(value, index, here, 0, std::numeric_limits<std::int32_t>::max());
            target.kind = Kind::fd;
            target.fd = static_cast<std::size_t>(index);
        } else if (key == "file") {
            target.kind = Kind::file;
            target.path = Bytes::from_json(value, here).value;
            if (target.path.empty()) throw DecodeError(here, "is empty");
        } else if (key == "append" && json.contains("file")) {
            if (!value.is_null()) decode(value, target.append, here, Unknown::refuse);
        } else {
            fail_unknown(path, key);
        }
    }
    return target;
}

OrderedJson StdioTarget::to_json() const {
    switch (kind) {
        case Kind::null:
            return "null";
        case Kind::log:
            return "log";
        case Kind::as_stdout:
            return "stdout";
        case Kind::separate:
            return "separate";
        case Kind::fd:
            return OrderedJson{{"fd", fd}};
        case Kind::file:
            break;
    }
    OrderedJson object{{"file", Bytes{path}.to_json()}};
    if (append) object["append"] = true;
    return object;
}

OrderedJson StdioTarget::schema() {
    OrderedJson file = object_with("file", Bytes::schema());
    file["properties"]["append"] = type("boolean");
    return one_of({words({"null", "log", "stdout", "separate"}),
                   object_with("fd", OrderedJson{{"type", "integer"}, {"minimum", 0}}), file});
}

// ---- OwnerRef, Selector ----------------------------------------------------------------------------------

std::optional<std::int64_t> session_number(std::string_view text) {
    std::int64_t number = 0;
    if (text.size() < 2 || text[0] != 's' || text[1] < '1' || text[1] > '9') return std::nullopt;
    const auto [stop, error] = std::from_chars(text.data() + 1, text.data() + text.size(), number);
    if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
    return number;
}

std::string session_text(std::int64_t number) {
    return "s" + std::to_string(number);
}

OwnerRef OwnerRef::from_json(const Json& json, const Path& path) {
    constexpr const char* k_expected =
        "expected \"connection\", \"procd\", \"process\", {\"process\": id}, {\"session\": \"s7\"}, "
        "{\"pid\": N} or "
        "{\"pidfd\": i}";
    OwnerRef owner;
    if (json.is_string()) {
        const auto& word = json.get_ref<const std::string&>();
        if (word == "connection")
            owner.kind = Kind::connection;
        else if (word == "procd")
            owner.kind = Kind::procd;
        else if (word == "process")
            owner.kind = Kind::enclosing;
        else
            throw DecodeError(path, k_expected);
        return owner;
    }
    const auto [key, value] = only_member(json, path, k_expected);
    const Path here{&path, key, std::nullopt};
    constexpr std::int64_t k_int32 = std::numeric_limits<std::int32_t>::max();
    if (key == "process") {
        owner.kind = Kind::process;
        decode_integer(*value, owner.number, here, 1, std::numeric_limits<std::int64_t>::max());
    } else if (key == "session") {
        owner.kind = Kind::session;
        decode_text(*value, owner.session, here);
    } else if (key == "pid") {
        owner.kind = Kind::pid;
        decode_integer(*value, owner.number, here, 1, k_int32);
    } else if (key == "pidfd") {
        owner.kind = Kind::pidfd;
        decode_integer(*value, owner.number, here, 0, k_int32);
    } else {
        throw DecodeError(path, k_expected);
    }
    return owner;
}

OrderedJson OwnerRef::to_json() const {
    switch (kind) {
        case Kind::connection:
            return "connection";
        case Kind::procd:
            return "procd";
        case Kind::enclosing:
            return "process";
        case Kind::process:
            return OrderedJson{{"process", number}};
        case Kind::session:
            return OrderedJson{{"session", session}};
        case Kind::pid:
            return OrderedJson{{"pid", number}};
        case Kind::pidfd:
            break;
    }
    return OrderedJson{{"pidfd", number}};
}

OrderedJson OwnerRef::schema() {
    const OrderedJson positive{{"type", "integer"}, {"minimum", 1}};
    return one_of({words({"connection", "procd", "process"}), object_with("process", positive),
                   object_with("session", type("string")), object_with("pid", positive),
                   object_with("pidfd", OrderedJson{{"type", "integer"}, {"minimum", 0}})});
}

Selector Selector::from_json(const Json& json, const Path& path) {
    Selector selector;
    if (json.is_number()) {
        std::int64_t id = 0;
        decode_integer(json, id, path, 1, std::numeric_limits<std::int64_t>::max());
        selector.id = id;
    } else if (json.is_string()) {
        selector.name = json.get_ref<const std::string&>();
    } else if (json.is_object() && json.contains("name")) {
        for (const auto& [key, value] : json.items()) {
            const Path here{&path, key, std::nullopt};
            if (key == "name")
                decode_text(value, selector.name, here);
            else if (key != "owner")
                fail_unknown(path, key);
            else if (!value.is_null())
                selector.owner = OwnerRef::from_json(value, here);
        }
    } else {
        throw DecodeError(path, "expected an id, a name or {\"name\": …, \"owner\"?: …}");
    }
    return selector;
}

OrderedJson Selector::to_json() const {
    if (id) return *id;
    if (!owner) return name;
    return OrderedJson{{"name", name}, {"owner", owner->to_json()}};
}

OrderedJson Selector::schema() {
    OrderedJson object = object_with("name", type("string"));
    object["properties"]["owner"] = OwnerRef::schema();
    return one_of({OrderedJson{{"type", "integer"}, {"minimum", 1}}, type("string"), object});
}

}  // namespace procd::proto
