"""A push of one large layer as it is, beside `skopeo copy` from the same layout.

Both read an OCI layout with one layer of random bytes, which no compressor makes smaller, and push to a docker-registry
that has nothing yet and listens on a port of its own, so that no tool remembers what is where. anyarch takes the layout as
a base and adds a tiny program that is built already; its own cache is empty. The tools take turns in going first; a ratio is
that of the two runs of one round.
"""

import gzip
import hashlib
import os
import shutil
import statistics
import sys
import tarfile
import time

from bench_registry import OCI, Registry, encode

SIZE = 500_000_000
# What the project has promised itself: anyarch takes at most this many times as long as skopeo.
GOAL = 1.0


def bench_push(options, scratch, run):
    """Measures `options.push_rounds` pairs, prints them and returns what was measured; `run` runs one command."""
    if shutil.which("skopeo") is None:
        raise SystemExit("error: there is no skopeo\nhint: sudo apt-get install -y skopeo")
    folder = scratch / "push"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    layout = folder / "layout"
    write_layout(layout)
    project = write_project(folder / "project", run)
    cache = folder / "cache"
    source = f"oci:{layout}:1"

    def skopeo(host):
        command = ["skopeo", "copy", "--quiet", "--dest-tls-verify=false", source, f"docker://{host}/large:1"]
        return command, os.environ

    def anyarch(host):
        shutil.rmtree(cache, ignore_errors=True)
        command = [options.anyarch, "build", "--push", "--platform", "linux/amd64", "--base", source, "-t", f"{host}/large:1"]
        return command, {**os.environ, "ANYARCH_CACHE_DIR": str(cache)}

    tools = [("skopeo", skopeo), ("anyarch", anyarch)]
    seconds, peak = {name: [] for name, _ in tools}, {name: 0 for name, _ in tools}
    for number in range(options.push_rounds):
        for name, tool in tools if number % 2 == 0 else reversed(tools):
            with Registry(folder / "registry") as registry:
                command, environment = tool(registry.host)
                # What the run before has written must not be written to the disk during this one.
                os.sync()
                start = time.perf_counter()
                used = run(command, folder / f"{name}.log", environment, project)
                seconds[name].append(time.perf_counter() - start)
                peak[name] = max(peak[name], used)
                check(registry, "large")
            print(f"push, {name}: {seconds[name][-1]:.2f} s", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return report(seconds, peak)


def report(seconds, peak):
    ratios = [ours / theirs for ours, theirs in zip(seconds["anyarch"], seconds["skopeo"])]
    ratio = statistics.median(ratios)
    print(f"\nPush: a layer of {SIZE // 1_000_000} MB, {len(ratios)} rounds")
    for name, times in seconds.items():
        middle = statistics.median(times)
        print(f"{name:10}{middle:8.2f} s {SIZE / 1e6 / middle:8.0f} MB/s   peak memory {peak[name] / 2**20:.0f} MiB")
    verdict = "reached" if ratio <= GOAL else "MISSED"
    print(f"anyarch/skopeo {ratio:.2f} x  {verdict}: at most {GOAL} x skopeo")
    return {"seconds": seconds, "ratio": ratio, "ratios": ratios, "peak_memory_bytes": peak}


def check(registry, repository):
    """Holds the registry to having the large layer: a push that left it out would be fast."""
    kinds = [OCI + "index.v1+json", OCI + "manifest.v1+json"]
    manifest = registry.get(f"{repository}/manifests/1", kinds)
    if "manifests" in manifest:
        manifest = registry.get(f"{repository}/manifests/{manifest['manifests'][0]['digest']}", kinds)
    layer = manifest["layers"][0]
    if layer["size"] < SIZE or registry.size(f"{repository}/blobs/{layer['digest']}") != layer["size"]:
        raise SystemExit(f"error: the registry lacks the layer {layer}")


def write_layout(layout):
    """An OCI layout of one image for linux/amd64 whose one layer is a tar of random bytes, stored in a gzip frame."""
    blobs = layout / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    raw = layout / "layer"
    tar_hash = hashlib.sha256()
    with gzip.GzipFile(raw, "wb", compresslevel=0, mtime=0) as packed:
        entry = tarfile.TarInfo("large")
        entry.size = SIZE
        left = SIZE
        write(packed, tar_hash, entry.tobuf())
        while left > 0:
            piece = os.urandom(min(left, 1 << 20))
            write(packed, tar_hash, piece)
            left -= len(piece)
        write(packed, tar_hash, b"\0" * (-SIZE % 512 + 1024))
    with open(raw, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    raw.rename(blobs / digest)
    layer = {"mediaType": OCI + "layer.v1.tar+gzip", "digest": f"sha256:{digest}"}
    layer["size"] = (blobs / digest).stat().st_size
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{tar_hash.hexdigest()}"]}
    config = put(blobs, "config.v1+json", {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs})
    kind = {"schemaVersion": 2, "mediaType": OCI + "manifest.v1+json"}
    manifest = put(blobs, "manifest.v1+json", {**kind, "config": config, "layers": [layer]})
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "1"}
    (layout / "index.json").write_bytes(encode({"schemaVersion": 2, "manifests": [manifest]}))
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def write(packed, tar_hash, piece):
    packed.write(piece)
    tar_hash.update(piece)


def put(blobs, kind, document):
    content = encode(document)
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return {"mediaType": OCI + kind, "digest": f"sha256:{digest}", "size": len(content)}


def write_project(project, run):
    """A project whose program is built already."""
    project.mkdir()
    (project / "go.mod").write_text("module example.com/tiny\n\ngo 1.21\n")
    (project / "main.go").write_text("package main\n\nfunc main() { println(\"tiny\") }\n")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": "amd64", "GOFLAGS": "-buildvcs=false"}
    run(["go", "build", "-ldflags=-s -w", "-o", "tiny", "."], project.parent / "go.log", environment, project)
    (project / "anyarch.toml").write_text('[[program]]\nname = "tiny"\nlanguage = "prebuilt"\npath = "tiny"\n')
    return project
