#include "proto/describe.hpp"

#include "proto/error.hpp"
#include "proto/messages.hpp"

namespace procd::proto {
namespace {

template <class Params>
OrderedJson describe_params() {
    OrderedJson list = OrderedJson::array();
    Params params;
    Params::fields(params, [&](const char* name, auto& member, const char* doc) {
        using Member = std::remove_cvref_t<decltype(member)>;
        list.push_back(OrderedJson{{"name", name},
                                   {"description", doc},
                                   {"required", !IsOptional<Member>::value},
                                   {"schema", describe<Member>()}});
    });
    return list;
}

void table(std::string& text, auto&& fields) {
    text += "| name | required | meaning |\n|---|---|---|\n";
    fields([&](const char* name, bool required, const char* doc) {
        std::string escaped;
        for (const char c : std::string_view(doc)) {
            if (c == '|') escaped += '\\';
            escaped += c;
        }
        text.append("| `").append(name).append("` | ").append(required ? "yes" : "").append(" | ");
        text.append(escaped).append(" |\n");
    });
}

template <class T>
void table_of(std::string& text) {
    table(text, [](auto&& row) {
        T message;
        T::fields(message, [&](const char* name, auto& member, const char* doc) {
            row(name, !IsOptional<std::remove_cvref_t<decltype(member)>>::value, doc);
        });
    });
}

template <class T>
bool has_fields() {
    bool any = false;
    T message;
    T::fields(message, [&](const char*, auto&, const char*) { any = true; });
    return any;
}

}  // namespace

OrderedJson openrpc_document(const std::string& version) {
    OrderedJson methods = OrderedJson::array();
    for_each_method([&](auto method) {
        using Method = decltype(method);
        OrderedJson entry{{"name", Method::k_name},
                          {"summary", Method::k_summary},
                          {"paramStructure", "by-name"},
                          {"params", describe_params<typename Method::Params>()}};
        entry["result"] = OrderedJson{{"name", "result"}, {"schema", describe<typename Method::Result>()}};
        methods.push_back(std::move(entry));
    });
    OrderedJson errors = OrderedJson::object();
    for (int i = 0; i <= static_cast<int>(ErrorKind::shutting_down); ++i) {
        const auto kind = static_cast<ErrorKind>(i);
        errors[std::string(to_text(kind))] = OrderedJson{
            {"code", code_of(kind)}, {"message", to_text(kind)}, {"data", {{"kind", to_text(kind)}}}};
    }
    OrderedJson document{{"openrpc", "1.3.2"}};
    document["info"] = OrderedJson{{"title", "procd"}, {"version", version}};
    document["methods"] = std::move(methods);
    document["x-notifications"] =
        OrderedJson::array({OrderedJson{{"name", "event"}, {"params", describe_params<EventParams>()}},
                            OrderedJson{{"name", "log"}, {"params", describe_params<LogDataParams>()}}});
    document["components"] = OrderedJson{{"errors", std::move(errors)}};
    return document;
}

std::string protocol_tables() {
    std::string text;
    for_each_method([&](auto method) {
        using Method = decltype(method);
        text.append("### `").append(Method::k_name).append("`\n\n").append(Method::k_summary).append("\n\n");
        if (has_fields<typename Method::Params>()) {
            text += "Parameters:\n\n";
            table_of<typename Method::Params>(text);
            text += '\n';
        }
        if constexpr (std::same_as<typename Method::Result, ProcessObject>) {
            text += "Result: a process object.\n\n";
        } else if constexpr (Message<typename Method::Result>) {
            if (!has_fields<typename Method::Result>()) return;
            text += "Result:\n\n";
            table_of<typename Method::Result>(text);
            text += '\n';
        }
    });
    text += "## The `event` notification\n\n";
    table_of<EventParams>(text);
    text += "\n## The `log` notification\n\n";
    table_of<LogDataParams>(text);
    text += "\n`file` of the result of `logs`:\n\n";
    table_of<LogFile>(text);
    text += "\n## The process object\n\nEvery member is always present; null where there is nothing.\n\n";
    table_of<ProcessObject>(text);
    text += "\n`owner`:\n\n";
    table_of<OwnerObject>(text);
    text += "\n`result`:\n\n";
    table_of<ResultObject>(text);
    text += "\n`stdio`:\n\n";
    table_of<Stdio>(text);
    text += "\n`log`:\n\n";
    table_of<LogParams>(text);
    text += "\n## Errors\n\n| `data.kind` | code |\n|---|---|\n";
    for (int i = 0; i <= static_cast<int>(ErrorKind::shutting_down); ++i) {
        const auto kind = static_cast<ErrorKind>(i);
        text.append("| `")
            .append(to_text(kind))
            .append("` | ")
            .append(std::to_string(code_of(kind)))
            .append(" |\n");
    }
    return text;
}

}  // namespace procd::proto
