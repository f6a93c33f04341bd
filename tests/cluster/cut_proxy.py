"""A TCP proxy in front of a node that can lose the answer to a chosen request: it hands the request
on, waits for the node's answer, throws it away and closes the connection."""
import select
import socket
import threading


class CutProxy:
    """Forwards 127.0.0.1:port to `target` ("host:port") until closed. The answer to a request that
    holds `mark` is lost, the first `cuts` times."""

    def __init__(self, target, mark, cuts):
        self._target = target.rsplit(":", 1)
        self._mark = mark
        self._lock = threading.Lock()
        self._cuts_left = cuts
        self.cuts = 0  # answers that were lost
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _accept(self):
        while not self._stop.is_set():
            if not select.select([self._listener], [], [], 0.05)[0]:
                continue
            near = self._listener.accept()[0]
            thread = threading.Thread(target=self._serve, args=(near,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, near):
        with near, socket.create_connection((self._target[0], int(self._target[1]))) as far:
            try:
                self._forward(near, far)
            except OSError:  # either end is gone
                pass

    def _forward(self, near, far):
        asked = b""  # the latest bytes of the client
        while not self._stop.is_set():
            readable = select.select([near, far], [], [], 0.05)[0]
            for source in readable:
                data = source.recv(65536)
                if not data:
                    return
                if source is far:
                    near.sendall(data)
                    continue
                asked = (asked + data)[-65536:]
                cut = self._mark in asked and self._take_cut()
                far.sendall(data)
                if cut:
                    self._await_answer(far)
                    return

    def _take_cut(self):
        with self._lock:
            if self._cuts_left == 0:
                return False
            self._cuts_left -= 1
            self.cuts += 1
            return True

    def _await_answer(self, far):
        """Throws away what the node says until it has been quiet for a moment: then it has answered."""
        while not self._stop.is_set():
            if not select.select([far], [], [], 0.2)[0] or not far.recv(65536):
                return
