"""A registry on loopback with a certificate of its own: what serves images.py's images."""

import http.server
import re
import ssl
import subprocess
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    images = None
    more = staticmethod(lambda images, name: None)

    def log_message(self, *args):
        pass

    def find(self):
        match = re.fullmatch(r"/v2/(.+)/(manifests|blobs)/([^/?]+)(\?.*)?", self.path)
        if not match:
            return None
        repository, _, reference, _ = match.groups()
        if reference.startswith("sha256:"):
            return reference
        # by the name that the client asked for, whichever port it came to
        host = self.headers.get("Host", "").split(":")[0]
        name = f"{host}/{repository}:{reference}"
        # releases differ in the version of the pause image that their parts ask for
        if name not in self.images.names and re.fullmatch(r"(registry\.k8s\.io|k8s\.gcr\.io)/pause:3\.[0-9.]+", name):
            name = self.images.other_pause
        return self.images.names.get(name) or self.more(self.images, name)

    def answer(self, status, data=b"", kind="application/json", digest=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        if digest:
            self.send_header("Docker-Content-Digest", digest)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def do_GET(self):
        if self.path.rstrip("/") == "/v2":
            return self.answer(200, b"{}")
        digest = self.find()
        if digest not in self.images.blobs:
            return self.answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
        return self.answer(200, self.images.blobs[digest], self.images.kinds[digest], digest)

    do_HEAD = do_GET


def certificate(directory, hosts):
    names = ",".join(f"DNS:{h}" for h in hosts)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "2", "-subj", "/CN=registry", "-addext", f"subjectAltName={names}",
         "-keyout", f"{directory}/key.pem", "-out", f"{directory}/cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip


def serve(images, directory, hosts, more=None):
    """Serves in the background until the process ends; `more` makes an image that is asked for. The names lead here by /etc/hosts, which is
    replaced in this mount namespace."""
    certificate(directory, hosts)
    with open(f"{directory}/hosts", "w") as file:
        file.write("127.0.0.1 localhost " + " ".join(hosts) + "\n")
    subprocess.run(["mount", "--bind", f"{directory}/hosts", "/etc/hosts"], check=True)
    handler = type("Images", (Handler,), {"images": images, **({"more": staticmethod(more)} if more else {})})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 443), handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{directory}/cert.pem", f"{directory}/key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
