// The reader of dumps, which takes files that anybody may have written: it may refuse, never break;
// and what it takes, the writer writes in a way that it takes again.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "src/base/check.h"
#include "src/dump/dump_format.h"

using cairn::dump::Format;
using cairn::dump::Reader;
using cairn::dump::Writer;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  Reader reader(std::nullopt);
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const auto pair = reader.Take(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!pair.ok() || !pair->has_value()) continue;
    for (const Format format : {Format::kText, Format::kJsonLines}) {
      std::string line = Writer(format).Line((*pair)->key, (*pair)->value);
      line.pop_back();
      Reader again(format);
      const auto copy = again.Take(line);
      CAIRN_CHECK(copy.ok() && *copy == *pair, "a pair is read back as another one");
    }
  }
  (void)reader.Finish().ok();
  return 0;
}
