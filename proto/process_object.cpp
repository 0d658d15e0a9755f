#include "proto/process_object.hpp"

#include <algorithm>

#include "proto/describe.hpp"

namespace procd::proto {

const std::vector<std::string>& process_field_names() {
    static const std::vector<std::string> k_names = [] {
        std::vector<std::string> names;
        ProcessObject object;
        ProcessObject::fields(object,
                              [&](const char* name, auto&, const char*) { names.emplace_back(name); });
        return names;
    }();
    return k_names;
}

ProcessView ProcessView::from_json(const Json& json, const Path& path) {
    ProcessView view;
    decode_fields(json, view.process, path, Unknown::ignore);
    return view;
}

OrderedJson ProcessView::to_json() const {
    if (!only) return encode(process);
    OrderedJson object = OrderedJson::object();
    auto& entries = object.get_ref<OrderedJson::object_t&>();
    ProcessObject::fields(process, [&](const char* name, const auto& member, const char*) {
        using Member = std::remove_cvref_t<decltype(member)>;
        if (std::find(only->begin(), only->end(), name) == only->end()) return;
        if constexpr (IsOptional<Member>::value) {
            entries.emplace_back(name, member ? encode(*member) : OrderedJson(nullptr));
        } else {
            entries.emplace_back(name, encode(member));
        }
    });
    return object;
}

OrderedJson ProcessView::schema() {
    return describe<ProcessObject>();
}

}  // namespace procd::proto
