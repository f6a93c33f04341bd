// The language of `cairn txn`: one step a line.
//
//   get KEY                              read; shown when the transaction has committed
//   range BEGIN END                      read the keys from BEGIN up to END ("": all from there on)
//   set KEY VALUE                        write
//   delete KEY                           write
//   add KEY N                            read KEY as a decimal number (missing: 0), write it with
//                                        N added
//   set-versionstamped-key PREFIX VALUE  write under PREFIX and the versionstamp of the commit
//   set-versionstamped-value KEY PREFIX  write PREFIX and the versionstamp of the commit
//   conflict-key KEY                     conflict as if KEY had been read
//   conflict-range BEGIN END             conflict as if the range had been read
//   in FAMILY                            the steps that follow are in this column family
//   exec COMMAND                         run a shell command at this point, in each attempt
//   exec-once COMMAND                    the same, in the first attempt only
//   commit                               commit and end; the end of the script does the same
//
// Empty lines and lines that start with # are skipped. Keys and values are words, or stand in
// double quotes; both are read in the form of the command line (escaped, hex, base64).
//
// Thread safety: plain values.
#ifndef CAIRN_APPS_CAIRN_TXN_SCRIPT_H_
#define CAIRN_APPS_CAIRN_TXN_SCRIPT_H_

#include <cstdint>
#include <istream>
#include <string>
#include <variant>
#include <vector>

#include "cairn/status.h"
#include "src/text/bytes_text.h"

namespace cairn::cli {

using text::TextForm;

struct GetStep {
  std::string key;
  friend bool operator==(const GetStep&, const GetStep&) = default;
};
struct SetStep {
  std::string key;
  std::string value;
  friend bool operator==(const SetStep&, const SetStep&) = default;
};
struct DeleteStep {
  std::string key;
  friend bool operator==(const DeleteStep&, const DeleteStep&) = default;
};
struct AddStep {
  std::string key;
  std::int64_t amount = 0;
  friend bool operator==(const AddStep&, const AddStep&) = default;
};
struct RangeStep {
  std::string begin;
  std::string end;  // empty: the end of the column family
  friend bool operator==(const RangeStep&, const RangeStep&) = default;
};
struct StampStep {
  std::string key;  // without the stamp
  std::string value;
  bool in_key = false;  // else the stamp ends the value
  friend bool operator==(const StampStep&, const StampStep&) = default;
};
struct ConflictKeyStep {
  std::string key;
  friend bool operator==(const ConflictKeyStep&, const ConflictKeyStep&) = default;
};
struct ConflictRangeStep {
  std::string begin;
  std::string end;
  friend bool operator==(const ConflictRangeStep&, const ConflictRangeStep&) = default;
};
struct InStep {
  std::string family;
  friend bool operator==(const InStep&, const InStep&) = default;
};
struct ExecStep {
  std::string command;
  bool once = false;
  friend bool operator==(const ExecStep&, const ExecStep&) = default;
};

using TxnStep = std::variant<GetStep, RangeStep, SetStep, DeleteStep, AddStep, StampStep,
                             ConflictKeyStep, ConflictRangeStep, InStep, ExecStep>;

// Reads a script to its end or to `commit`. kInvalidArgument that names the line.
Result<std::vector<TxnStep>> ParseTxnScript(std::istream& in, TextForm form);

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_TXN_SCRIPT_H_
