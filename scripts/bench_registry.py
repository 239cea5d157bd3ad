"""A docker-registry on a free port of this machine, and a small multi-arch base image pushed to it."""

import gzip
import hashlib
import io
import json
import shutil
import socket
import subprocess
import tarfile
import time
import urllib.error
import urllib.request

OCI = "application/vnd.oci.image."


class Registry:
    """Runs as long as the `with` block; its folder is emptied before."""

    def __init__(self, folder):
        self.folder, self.process = folder, None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.host = f"localhost:{free.getsockname()[1]}"

    def __enter__(self):
        program = shutil.which("docker-registry") or shutil.which("docker-registry", path="/usr/sbin:/usr/bin")
        if program is None:
            raise SystemExit("error: there is no docker-registry\nhint: sudo apt-get install -y docker-registry")
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        configuration = self.folder / "config.json"  # YAML that happens to be JSON
        configuration.write_text(
            json.dumps(
                {
                    "version": 0.1,
                    "log": {"level": "error", "accesslog": {"disabled": True}},
                    "storage": {"filesystem": {"rootdirectory": str(self.folder / "data")}},
                    "http": {"addr": "127.0.0.1:" + self.host.split(":")[1]},
                }
            )
        )
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen([program, "serve", configuration], stdout=log, stderr=log)
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://{self.host}/v2/").read()
                return self
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        self.__exit__()
        raise SystemExit(f"error: docker-registry does not answer:\n{(self.folder / 'log').read_text()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def push_base(self, repository, tag, platforms):
        """Pushes an index with one manifest a platform; all share one layer with /etc/passwd."""
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            passwd = b"root:x:0:0:root:/root:/sbin/nologin\n"
            entry = tarfile.TarInfo("etc/passwd")
            entry.size = len(passwd)
            archive.addfile(entry, io.BytesIO(passwd))
        layer = self.put_blob(repository, "layer.v1.tar+gzip", gzip.compress(tar.getvalue(), mtime=0))
        manifests = []
        for platform in platforms:
            parts = dict(zip(["os", "architecture", "variant"], platform.split("/")))
            config = {
                **parts,
                "config": {"Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
                "rootfs": {"type": "layers", "diff_ids": [digest(tar.getvalue())]},
            }
            manifest = {
                "config": self.put_blob(repository, "config.v1+json", encode(config)),
                "layers": [layer],
            }
            manifests.append({**self.put_manifest(repository, None, "manifest.v1+json", manifest), "platform": parts})
        self.put_manifest(repository, tag, "index.v1+json", {"manifests": manifests})

    def put_blob(self, repository, kind, content):
        answer = self.request("POST", f"http://{self.host}/v2/{repository}/blobs/uploads/", b"")
        place = answer.headers["Location"]
        self.request("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest(content)}", content)
        return {"mediaType": OCI + kind, "digest": digest(content), "size": len(content)}

    def put_manifest(self, repository, tag, kind, manifest):
        content = encode({"schemaVersion": 2, "mediaType": OCI + kind, **manifest})
        where = f"http://{self.host}/v2/{repository}/manifests/{tag or digest(content)}"
        self.request("PUT", where, content, OCI + kind)
        return {"mediaType": OCI + kind, "digest": digest(content), "size": len(content)}

    def get(self, path, kinds):
        """The JSON document at a path below /v2/, as one of those media types."""
        request = urllib.request.Request(f"http://{self.host}/v2/{path}", headers={"Accept": ", ".join(kinds)})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    def size(self, path):
        """The length of what is at a path below /v2/, in bytes."""
        request = urllib.request.Request(f"http://{self.host}/v2/{path}", method="HEAD")
        with urllib.request.urlopen(request) as answer:
            return int(answer.headers["Content-Length"])

    @staticmethod
    def request(method, where, content, media_type="application/octet-stream"):
        request = urllib.request.Request(where, data=content, method=method, headers={"Content-Type": media_type})
        with urllib.request.urlopen(request) as answer:
            answer.read()
            return answer


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def encode(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
