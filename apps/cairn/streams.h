// Standard input and output of the program, and input in general: what can't be read or written is
// an error, and no empty input or success. In a program with this file, a standard stream that is
// closed is never taken by another file: it gives errors.
//
// Thread safety: one thread.
#ifndef CAIRN_APPS_CAIRN_STREAMS_H_
#define CAIRN_APPS_CAIRN_STREAMS_H_

#include <istream>
#include <string>

#include "cairn/status.h"

namespace cairn::cli {

// Writes out what the streams of standard output hold. kIoError: that, or an earlier write to them,
// failed. `c_stream` counts stdio's, too.
Status FlushStandardOutput(bool c_stream);

// After input has ended: kInvalidArgument if it could not be read, and did not just end. `name`
// says what was read.
Status CheckRead(const std::istream& in, const std::string& name);

// All that is left of the input.
Result<std::string> ReadAll(std::istream& in, const std::string& name);

}  // namespace cairn::cli

#endif  // CAIRN_APPS_CAIRN_STREAMS_H_
