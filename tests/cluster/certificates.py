"""Certificates for tests, made by the openssl of the system."""
import pathlib
import subprocess

_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]


def _openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=30)


class Authority:
    """Signs certificates for this machine; keeps its files in `folder`."""

    def __init__(self, folder, name):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.certificate = self.folder / f"{name}.pem"
        _openssl("req", "-x509", *_NEW_KEY, "-days", "90", "-subj", f"/CN={name}",
                 "-keyout", self.folder / f"{name}.key", "-out", self.certificate)

    def issue(self, subject, days=90):
        """A certificate and its key: two files. With days below 0 it has ended already."""
        base = self.folder / f"{self.name}-{subject}"
        certificate, key = base.with_suffix(".pem"), base.with_suffix(".key")
        request, extensions = base.with_suffix(".csr"), base.with_suffix(".ext")
        extensions.write_text("subjectAltName = DNS:localhost, IP:127.0.0.1\n")
        _openssl("req", *_NEW_KEY, "-subj", f"/CN={subject}", "-keyout", key, "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey",
                 self.folder / f"{self.name}.key", "-CAcreateserial", "-days", days,
                 "-extfile", extensions, "-out", certificate)
        return certificate, key
