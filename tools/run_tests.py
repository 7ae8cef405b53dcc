#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests of a tier and adds them up; ./dev test calls it.

    run_tests.py quick|full|eval|soak|all [NAME]      all: quick and full

`quick`, `eval` and a NAME (a regular expression over the names) run in the dev build alone.
`full` and `all` go on, a stage after the other:

    dev      every test of the tier
    kernels  the quick ones again under each kernel set that this machine has
    arm      the tests of num/ built for 64-bit Arm, emulated: its kernels; skipped where the
             compiler or the emulator is missing (apt install gcc-aarch64-linux-gnu
             libc6-dev-arm64-cross qemu-user)
    asan     the quick ones, and a few from outside, with address and undefined sanitizers
    tsan     what has threads, with the thread sanitizer
    fuzz     every target for its share of two minutes

`soak` is the same without measure: whole suites under both sanitizers, ten minutes a target.
The last line is "N passed, N failed, N skipped" over everything; exit 1 when anything failed
or nothing ran.
"""
import collections
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
JOBS = os.cpu_count() or 2
FUZZ_SECONDS, FUZZ_SOAK_SECONDS = 120, 600
FUZZ_LEAST_SECONDS = 3
# What a run from outside costs under a sanitizer decides what is in the short list.
ASAN_FROM_OUTSIDE = "^e2e_(smoke|kill|wrong_input)$"
TSAN_TESTS = "^test_(base|io|num_gemm|nn|scheduler|engine|engine_serving|net|server)$|^prop_engine_threads$|^e2e_(smoke|kill)$"
KILL_ROUNDS_SHORT = "3"
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}

total = collections.Counter()
failures, skips = [], []


def say(text):
    print(text, flush=True)


def count(outcome, name, why=""):
    total[outcome] += 1
    if outcome == "failed":
        failures.append(f"{name}: {why}" if why else name)
    if outcome == "skipped":
        skips.append(f"{name}: {why}" if why else name)


def build(preset, *targets):
    """True when it worked; else the end of the log is shown and the stage has failed."""
    folder, start = BUILD / preset, time.time()
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "build.log"
    commands = [["cmake", "--preset", preset],
                ["cmake", "--build", "--preset", preset, "-j", str(JOBS),
                 *(["--target", *targets] if targets else [])]]
    with open(log, "w") as out:
        for command in commands:
            if subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.STDOUT,
                              stdin=subprocess.DEVNULL).returncode != 0:
                say("".join(log.read_text(errors="replace").splitlines(True)[-40:]))
                count("failed", f"build {preset}", str(log.relative_to(ROOT)))
                return False
    say(f"-- built {preset} in {time.time() - start:.0f} s")
    return True


def ctest(stage, preset, labels, names=None, env=None, wrap=(), least=1):
    """Runs tests of one build tree and counts them under `stage`."""
    start, report = time.time(), BUILD / preset / f"report-{stage.replace(' ', '-')}.xml"
    report.unlink(missing_ok=True)
    command = [*wrap, "ctest", "--test-dir", str(BUILD / preset), "-j", str(JOBS),
               "--output-on-failure", "--no-tests=error", "--output-junit", str(report)]
    if labels:
        command += ["-L", labels]
    if names:
        command += ["-R", names]
    say(f"== {stage}")
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, **(env or {})})
    seen = collections.Counter()
    if report.exists():
        for case in xml.etree.ElementTree.parse(report).getroot().iter("testcase"):
            status, name = case.get("status"), f"{stage}: {case.get('name')}"
            if status == "run":
                outcome, why = "passed", ""
            elif case.find("skipped") is not None and status in ("notrun", "disabled"):
                outcome, why = "skipped", last_line(case)
            else:
                outcome, why = "failed", ""
            seen[outcome] += 1
            count(outcome, name, why)
    failed = seen["failed"] or sum(seen.values()) < least
    if failed:
        say(done.stdout)
    if sum(seen.values()) < least or done.returncode != 0 and not seen["failed"]:
        count("failed", stage, f"ctest ended with {done.returncode}, {sum(seen.values())} tests ran")
        if not failed:
            say(done.stdout)
    say(f"-- {stage}: {seen['passed']} passed, {seen['failed']} failed, {seen['skipped']} skipped"
        f" in {time.time() - start:.0f} s")


def last_line(case):
    """Why a test was skipped: the last line that it printed."""
    text = (case.findtext("system-out") or "").strip().splitlines()
    return text[-1].strip() if text else ""


def kernel_sets():
    """[(name, usable)], fastest first, as the program lists them."""
    program = BUILD / "dev/quern"
    out = subprocess.run([program, "version", "--build"], capture_output=True, text=True,
                         env={k: v for k, v in os.environ.items() if k != "QUERN_KERNELS"}).stdout
    line = re.search(r"^kernels: (.*)$", out, re.M)
    if not line:
        return []
    return [(name, not missing) for name, missing in re.findall(r"(\S+?)( \(not here\))?(?: |$)", line[1])]


def stage_kernels():
    sets = kernel_sets()
    if not sets:
        count("failed", "kernels", "`quern version --build` names no kernel sets")
    best = next((name for name, usable in sets if usable), None)
    for name, usable in sets:
        if not usable:
            say(f"== kernels {name}: skipped, this CPU has not got it")
            count("skipped", f"kernels {name}", "this CPU has not got it")
        elif name != best:  # the best one is what the dev stage ran
            ctest(f"kernels {name}", "dev", "quick", env={"QUERN_KERNELS": name})


ARM_TESTS = ["test_kernels", "test_num_gemm", "test_num_packed", "test_num_attention"]


def stage_arm():
    """Without CMake: base and num alone, static, with tests/arm/cmocka.h for the library."""
    missing = [t for t in ("aarch64-linux-gnu-gcc", "qemu-aarch64") if not shutil.which(t)]
    if missing:
        say(f"== arm: skipped, {' and '.join(missing)} not installed")
        count("skipped", "arm", f"{' and '.join(missing)} not installed")
        return
    start, folder = time.time(), BUILD / "arm"
    folder.mkdir(parents=True, exist_ok=True)
    say("== arm")
    sources = [f for module in ("base", "num") for f in sorted((ROOT / "src" / module).glob("*.c"))
               if not re.search("avx|onednn", f.name)]
    flags = ["-std=c17", "-O2", "-static", "-D_POSIX_C_SOURCE=200809L", "-DQN_BUILD_NEON", "-Wall",
             "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Werror",
             "-ffp-contract=off", "-fno-strict-aliasing", f"-I{ROOT}/tests/arm", f"-I{ROOT}/src",
             f"-I{ROOT}/include"]

    def compiled(source):
        out = folder / (source.stem + ".o")
        done = subprocess.run(["aarch64-linux-gnu-gcc", *flags, "-c", source, "-o", out],
                              capture_output=True, text=True)
        return out, done.stderr if done.returncode != 0 else ""

    tests = [ROOT / "tests/unit" / f"{name}.c" for name in ARM_TESTS]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        done = list(pool.map(compiled, sources + tests))
    for out, error in done:
        if error:
            say(error[-4000:])
            count("failed", "arm", f"{out.stem}.c does not compile")
    if any(error for _, error in done):
        return
    parts = [out for out, _ in done[:len(sources)]]

    def run(name):
        program = folder / name
        link = subprocess.run(["aarch64-linux-gnu-gcc", "-static", folder / f"{name}.o", *parts,
                               "-lm", "-lpthread", "-o", program], capture_output=True, text=True)
        if link.returncode != 0:
            return name, 1, link.stderr
        ran = subprocess.run(["qemu-aarch64", program], capture_output=True, text=True)
        return name, ran.returncode, ran.stdout + ran.stderr

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for name, code, text in pool.map(run, ARM_TESTS):
            if code != 0:
                say(text[-4000:])
            count("passed" if code == 0 else "failed", f"arm: {name}",
                  "" if code == 0 else f"ended with {code}")
    say(f"-- arm in {time.time() - start:.0f} s")


def stage_asan(whole):
    if not build("asan"):
        return
    env = {**SANITIZER_ENV, "QUERN_KILL_ROUNDS": KILL_ROUNDS_SHORT}
    ctest("asan", "asan", "quick|full" if whole else "quick", env=SANITIZER_ENV)
    if not whole:
        ctest("asan outside", "asan", None, ASAN_FROM_OUTSIDE, env=env)


def stage_tsan(whole):
    # Without a fixed layout the sanitizer refuses to start on kernels with much randomness.
    wrap = ["setarch", "-R"] if shutil.which("setarch") else []
    if wrap and subprocess.run([*wrap, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        wrap = []
    if not build("tsan"):
        return
    env = {**SANITIZER_ENV, "QUERN_KILL_ROUNDS": KILL_ROUNDS_SHORT}
    if whole:
        ctest("tsan", "tsan", "quick|full", env=SANITIZER_ENV, wrap=wrap)
    else:
        ctest("tsan", "tsan", None, TSAN_TESTS, env=env, wrap=wrap)


def fuzz_target(program, seconds):
    name = program.name.removeprefix("fuzz_")
    found, work = BUILD / "fuzz/found", BUILD / "fuzz/corpus" / name
    work.mkdir(parents=True, exist_ok=True)
    found.mkdir(parents=True, exist_ok=True)
    log = BUILD / "fuzz" / f"run-{name}.log"
    command = [program, f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=2560",
               "-print_final_stats=1", f"-artifact_prefix={found}/{name}-", work,
               ROOT / "fuzz/corpus" / name]
    dictionary = ROOT / "fuzz/dict" / f"{name}.dict"
    if dictionary.exists():
        command.insert(1, f"-dict={dictionary}")
    with open(log, "wb") as out:
        code = subprocess.run(command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                              env={**os.environ, **SANITIZER_ENV}).returncode
    text = log.read_text(errors="replace")
    runs = re.search(r"number_of_executed_units: (\d+)", text)
    return name, code, int(runs[1]) if runs else 0, text


def stage_fuzz(seconds_in_all, seconds_each):
    if not shutil.which("clang"):
        say("== fuzz: skipped, clang is not installed")
        count("skipped", "fuzz", "clang is not installed")
        return
    probe = subprocess.run(["clang", "-fsanitize=fuzzer,address", "-x", "c", "-", "-o", os.devnull],
                           input="int LLVMFuzzerTestOneInput(const char *p, long n){return p!=0&&n<0;}",
                           text=True, capture_output=True)
    if probe.returncode != 0:
        say("== fuzz: skipped, clang has no fuzzer run time here")
        count("skipped", "fuzz", "clang has no fuzzer run time here")
        return
    if not build("fuzz"):
        return
    start = time.time()
    programs = sorted(p for p in (BUILD / "fuzz/fuzz").glob("fuzz_*") if os.access(p, os.X_OK) and p.is_file()
                      and (ROOT / "fuzz" / f"{p.name}.c").exists())
    seconds = seconds_each or max(FUZZ_LEAST_SECONDS, seconds_in_all * JOBS // max(1, len(programs)))
    say(f"== fuzz: {len(programs)} targets, {seconds} s each")
    if not programs:
        count("failed", "fuzz", "no targets")
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for name, code, runs, text in pool.map(lambda p: fuzz_target(p, seconds), programs):
            if code == 0 and runs > 0:
                count("passed", f"fuzz {name}")
                continue
            say("".join(text.splitlines(True)[-60:]))
            count("failed", f"fuzz {name}", f"ended with {code} after {runs} runs; see build/fuzz/found")
    say(f"-- fuzz in {time.time() - start:.0f} s")


def main():
    tier = sys.argv[1] if len(sys.argv) > 1 else "all"
    name = sys.argv[2] if len(sys.argv) > 2 else None
    labels = {"all": "quick|full", "soak": "quick|full|soak"}.get(tier, tier)
    start = time.time()
    if build("dev"):
        ctest("dev", "dev", f"^({labels})$", name)
        if tier in ("all", "full", "soak") and name is None:
            soak = tier == "soak"
            stage_kernels()
            stage_arm()
            stage_asan(soak)
            stage_tsan(soak)
            stage_fuzz(FUZZ_SECONDS, FUZZ_SOAK_SECONDS if soak else None)
    for line in skips:
        say(f"skipped: {line}")
    for line in failures:
        say(f"FAILED: {line}")
    say(f"tests took {time.time() - start:.0f} s")
    if sum(total.values()) - total["skipped"] == 0 and total["failed"] == 0:
        say("no test ran")
    say(f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped")
    sys.exit(1 if total["failed"] or not total["passed"] else 0)


main()
