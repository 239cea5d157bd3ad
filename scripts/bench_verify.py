"""What the check of an image before it is published costs: warm builds with `--verify=strict` beside `--verify=off`.

The project is that of examples/both, for two platforms over a base of Debian's own packages: a program of Go, and one of
Rust that is linked against the base's glibc. One line of one program is edited before each build; the two builds of a pair
come one after the other, in turns, with the same caches, and push to a docker-registry on this machine.
"""

import os
import shutil
import statistics
import sys
import time
from pathlib import Path

from bench_registry import Registry

ROOT = Path(__file__).resolve().parent.parent
# What the project has promised itself: a warm build that checks takes at most this many times as long as one that does not.
GOAL = 1.05
MODES = ("strict", "off")
# The file that is edited, a text in it, and what takes its place.
EDITS = {
    "Go": ("server/main.go", "func main() {\n", "func main() {\n\tprintln({number})\n"),
    "Rust": ("checksum/src/main.rs", "fn main()", "#[used]\nstatic EDITED: u64 = {number};\n\nfn main()"),
}


def debian_base(target, run, scratch):
    """The layout of Debian's packages that the tests make and keep, made by them when it is not there."""
    for attempt in range(2):
        # The newest form of it.
        layouts = sorted((target / "test-bases").glob("bookworm-*"), key=lambda path: path.stat().st_mtime)
        if layouts:
            return layouts[-1]
        if attempt == 0:
            command = ["cargo", "test", "--locked", "--test", "it", "skopeo_reads_every_platform_of_the_debian_base"]
            run(command, scratch / "base.log", dict(os.environ), ROOT)
    raise SystemExit(f"error: there is no Debian base in {target / 'test-bases'}")


def write_project(folder):
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "examples" / "both", folder, ignore=shutil.ignore_patterns("target", ".anyarch"))
    configuration = folder / "anyarch.toml"
    text = configuration.read_text()
    rust = 'language = "rust"\n'
    if text.count(rust) != 1:
        raise SystemExit(f"error: {configuration} does not hold `{rust.strip()}` once")
    configuration.write_text(text.replace(rust, rust + 'libc = "gnu.2.31"\n'))


def bench_verify(options, scratch, target, run):
    """Measures `options.verify_rounds` pairs of each edit, prints them and returns what was measured."""
    folder = scratch / "verify"
    folder.mkdir(parents=True, exist_ok=True)
    base = debian_base(target, run, folder)
    project = folder / "project"
    write_project(project)
    environment = {
        **os.environ,
        "ANYARCH_CACHE_DIR": str(folder / "cache"),
        "CARGO_TARGET_DIR": str(folder / "target"),
        "GOCACHE": str(folder / "go-cache"),
    }
    # A compiler cache that outlives this run must not hold what it edits.
    number = int(time.time())
    results = {}
    with Registry(folder / "registry") as registry:
        source = ["skopeo", "copy", "--quiet", "--all", "--dest-tls-verify=false", f"oci:{base}:base"]
        run([*source, f"docker://{registry.host}/debian:12"], folder / "skopeo.log", environment, project)
        command = [options.anyarch, "build", "--push", "--base", f"{registry.host}/debian:12", "-t", f"{registry.host}/both:1"]

        def build(mode):
            start = time.perf_counter()
            run([*command, f"--verify={mode}"], folder / f"{mode}.log", environment, project)
            return time.perf_counter() - start

        for mode in MODES:
            build(mode)
        for language, (path, old, new) in EDITS.items():
            original = (project / path).read_text()
            if original.count(old) != 1:
                raise SystemExit(f"error: {project / path} does not hold `{old.strip()}` once")
            seconds = {mode: [] for mode in MODES}
            for pair in range(options.verify_rounds):
                for mode in MODES if pair % 2 == 0 else reversed(MODES):
                    number += 1
                    (project / path).write_text(original.replace(old, new.replace("{number}", str(number))))
                    seconds[mode].append(build(mode))
                    print(f"verify, {language}, {mode}: {seconds[mode][-1]:.2f} s", file=sys.stderr, flush=True)
            (project / path).write_text(original)
            results[language] = report(language, seconds)
    return results


def report(language, seconds):
    ratios = [strict / off for strict, off in zip(seconds["strict"], seconds["off"])]
    ratio = statistics.median(ratios)
    middle = {mode: statistics.median(times) for mode, times in seconds.items()}
    print(f"\nVerify: one line of the {language} program changed, {len(ratios)} pairs")
    print("".join(f"--verify={mode} {middle[mode]:.2f} s   " for mode in MODES))
    verdict = "reached" if ratio <= GOAL else "MISSED"
    print(f"strict/off {ratio:.3f} x  {verdict}: at most {GOAL} x", flush=True)
    return {"seconds": seconds, "ratio": ratio, "ratios": ratios}
