"""A copy of an image of six platforms from one docker-registry to another, beside `skopeo copy --all`.

The destination is a registry that has nothing yet and listens on a port of its own; anyarch's cache is empty. Then the same
call again: the image is there. The tools take turns in going first; a ratio is that of the two runs of one round.
"""

import gzip
import io
import os
import shutil
import statistics
import sys
import tarfile
import time

from bench_registry import Registry, digest, encode

PLATFORMS = ["linux/amd64", "linux/arm64", "linux/arm/v7", "linux/386", "linux/s390x", "linux/ppc64le"]
# Bytes of the layers of each platform: a base, what it was updated by, a program.
LAYERS = [20_000_000, 1_000_000, 8_000_000]
COPY, AGAIN = "new", "already there"
# What the project has promised itself: anyarch takes at most so many times as long as skopeo.
GOALS = {COPY: 1.0, AGAIN: 0.5}


def bench_copy(options, scratch, run):
    """Measures `options.copy_rounds` pairs, prints them and returns what was measured; `run` runs one command."""
    if shutil.which("skopeo") is None:
        raise SystemExit("error: there is no skopeo\nhint: sudo apt-get install -y skopeo")
    folder = scratch / "copy"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    cache = folder / "cache"
    with Registry(folder / "source") as source:
        top = push_image(source, "image", "1")
        name = f"{source.host}/image:1"

        def skopeo(host):
            insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"]
            return ["skopeo", "copy", "--quiet", "--all", *insecure, f"docker://{name}", f"docker://{host}/copy:1"]

        def anyarch(host):
            return [options.anyarch, "copy", name, f"{host}/copy:1"]

        tools = [("skopeo", skopeo), ("anyarch", anyarch)]
        seconds = {situation: {name: [] for name, _ in tools} for situation in GOALS}
        peak = {name: 0 for name, _ in tools}
        environment = {**os.environ, "ANYARCH_CACHE_DIR": str(cache)}
        for number in range(options.copy_rounds):
            for tool, command in tools if number % 2 == 0 else reversed(tools):
                shutil.rmtree(cache, ignore_errors=True)
                with Registry(folder / "destination") as destination:
                    for situation in GOALS:
                        # What the run before has written must not be written to the disk during this one.
                        os.sync()
                        start = time.perf_counter()
                        used = run(command(destination.host), folder / f"{tool}.log", environment, folder)
                        seconds[situation][tool].append(time.perf_counter() - start)
                        peak[tool] = max(peak[tool], used)
                        check(destination, top)
                        print(f"copy, {situation}, {tool}: {seconds[situation][tool][-1]:.3f} s", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    return report(seconds, peak)


def report(seconds, peak):
    size = len(PLATFORMS) * sum(LAYERS)
    rounds = len(seconds[COPY]["anyarch"])
    print(f"\nCopy: {len(PLATFORMS)} platforms, {size // 1_000_000} MB, registry to registry, {rounds} rounds")
    ratios = {}
    for situation, goal in GOALS.items():
        times = seconds[situation]
        ratios[situation] = [ours / theirs for ours, theirs in zip(times["anyarch"], times["skopeo"])]
        ratio = statistics.median(ratios[situation])
        cells = "".join(f"{name:>10}{statistics.median(all_times):8.3f} s" for name, all_times in times.items())
        verdict = "reached" if ratio <= goal else "MISSED"
        print(f"{situation:14}{cells}{ratio:8.2f} x  {verdict}: at most {goal} x skopeo")
    print("peak memory   " + "".join(f"{name:>10}{bytes_used / 2**20:6.0f} MiB" for name, bytes_used in peak.items()))
    return {"seconds": seconds, "ratios": ratios, "peak_memory_bytes": peak}


def check(registry, top):
    """Holds the registry to having all of it: a copy that left something out would be fast."""
    kinds = [f"application/vnd.oci.image.{kind}.v1+json" for kind in ("index", "manifest")]
    index = registry.get("copy/manifests/1", kinds)
    if digest(encode(index)) != top:
        raise SystemExit(f"error: the copy is another image: {index}")
    for entry in index["manifests"]:
        manifest = registry.get(f"copy/manifests/{entry['digest']}", kinds)
        for blob in [manifest["config"], *manifest["layers"]]:
            if registry.size(f"copy/blobs/{blob['digest']}") != blob["size"]:
                raise SystemExit(f"error: the registry lacks {blob}")


def push_image(registry, repository, tag):
    """Pushes an index with one manifest a platform, whose layers are tars of random bytes; returns its digest."""
    manifests = []
    for platform in PLATFORMS:
        parts = dict(zip(["os", "architecture", "variant"], platform.split("/")))
        layers, diff_ids = [], []
        for number, size in enumerate(LAYERS):
            tar = io.BytesIO()
            with tarfile.open(fileobj=tar, mode="w") as archive:
                entry = tarfile.TarInfo(f"file-{number}")
                entry.size = size
                archive.addfile(entry, io.BytesIO(os.urandom(size)))
            diff_ids.append(digest(tar.getvalue()))
            packed = gzip.compress(tar.getvalue(), compresslevel=0, mtime=0)
            layers.append(registry.put_blob(repository, "layer.v1.tar+gzip", packed))
        config = {**parts, "config": {}, "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        manifest = {"config": registry.put_blob(repository, "config.v1+json", encode(config)), "layers": layers}
        manifests.append({**registry.put_manifest(repository, None, "manifest.v1+json", manifest), "platform": parts})
    return registry.put_manifest(repository, tag, "index.v1+json", {"manifests": manifests})["digest"]
