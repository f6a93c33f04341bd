"""Stops processes for a while."""
import os
import signal


def freeze(process):
    """Stops the process (SIGSTOP); no thread of it runs any more when this returns, which one
    that was in the kernel would do for a moment. SIGCONT has it go on."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
