#pragma once

#include <memory>

namespace CLI {
class FormatterBase;
}

namespace procctl {

// CLI11's help, with the verb's words in the usage line and descriptions broken at the width of a terminal.
std::shared_ptr<CLI::FormatterBase> help_format();

}  // namespace procctl
