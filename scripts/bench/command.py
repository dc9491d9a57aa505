#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measure the command kmod-rs on a machine that is made of files.

Prints the figures as guest.sh does. The machine is a directory with the files that the command
reads: a module that is loaded and serves, and as many records as it can keep.

usage: command.py PROGRAM DIRECTORY ROUNDS
"""

import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

RECORDS = 65536

RECORD = (
    'seq={seq} t={time:.6f} name="net-pf-{family}-proto-{seq}" wait=1 pid={pid} tgid={pid} comm="dockerd" '
    'uid={uid} loginuid=- userns=initial nspid={pid} cgroup="/system.slice/docker.service" '
    'call_site="__sock_create+0x1b6/0x2a0" chain=- helper={helper} queue_us=12 helper_us=21034 '
    'outcome=exit-status result=256 modules=- path="/sbin/modprobe" policy=allowed rule="capability"\n'
)

# A request as trace_pipe shows it, and how many.
EVENTS = (
    '         dockerd-{pid:<7} [001] ..... {time:.6f}: request_begin: seq={seq} name="{name}" wait=1 comm="dockerd" '
    'uid=0 loginuid=-1 userns=initial nspid={pid} cgroup="/system.slice/docker.service" '
    'call_site="__sock_create+0x1b6/0x2a0" chain=-\n'
    '         dockerd-{pid:<7} [001] ..... {time:.6f}: request_end: seq={seq} name="{name}" outcome=exit-status '
    'result=256 helper={helper} queue_us=12 helper_us=21034 path="/sbin/modprobe"\n'
)
REQUESTS = 20000

# Become the command with a trace instance as it would make it.
WATCH = """
instance=$1/sys/kernel/tracing/instances/kmod-rs-$$
mkdir -p "$instance/events/kmod_rs"
echo 0 >"$instance/events/kmod_rs/enable"
mkfifo "$instance/trace_pipe"
exec "$0" --root "$1" watch
"""

FILES = {
    "proc/sys/kernel/kmod_rs/active": "1\n",
    "proc/sys/kernel/kmod-limit": "50\n",
    "proc/sys/kernel/modprobe": "/sbin/modprobe\n",
    "proc/sys/kernel/osrelease": "7.3.4+deb13-amd64\n",
    "sys/module/kmod_rs/refcnt": "1\n",
    "sys/module/kmod_rs/version": "0.1.0\n",
    "sys/kernel/livepatch/kmod_rs/enabled": "1\n",
    "sys/kernel/livepatch/kmod_rs/transition": "0\n",
    "sys/kernel/debug/kmod_rs/autoloaded": "",
    "sys/kernel/debug/kmod_rs/inflight": "",
    "sys/kernel/debug/kmod_rs/latency": "",
    "sys/kernel/debug/kmod_rs/stats": "loaded 65536\nserved 65536\nin_flight 0\n",
}


def make_machine(root):
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    (root / "sys/kernel/debug/tracing").mkdir(exist_ok=True)
    with (root / "sys/kernel/debug/kmod_rs/recent").open("w") as file:
        for seq in range(1, RECORDS + 1):
            file.write(RECORD.format(seq=seq, time=seq / 10, family=seq % 40, pid=1000 + seq, uid=seq % 7, helper=9000 + seq))


def processor_time():
    """Returns the seconds that all children have taken which have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measure(*command):
    """Returns the milliseconds of processor time that the command takes, its lines, and the memory
    that it needs, in kB. The memory is measured in a second run, by a program that is itself small:
    what a process had before it executed the command would count."""
    before = processor_time()
    result = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    took = (processor_time() - before) * 1000
    if result.returncode != 0:
        print(f"bench wrong rust: {' '.join(map(str, command))} ends with {result.returncode}")
    timed = subprocess.run(
        ["busybox", "time", "-f", "%M", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    return took, result.stdout.count(b"\n"), int(timed.stderr.split()[-1])


def figure(row, value):
    print(f"bench {row} rust {round(value)}")


def measure_watch(program, root):
    """Returns how many events `kmod-rs watch` shows in a second of processor time."""
    before = processor_time()
    watch = subprocess.Popen(["sh", "-c", WATCH, program, root], stdout=subprocess.PIPE)
    pipe = root / f"sys/kernel/tracing/instances/kmod-rs-{watch.pid}/trace_pipe"
    # If the command ends without reading, nobody waits for the feeder.
    threading.Thread(target=feed, args=(pipe,), daemon=True).start()
    is_shown = any(b"the-last-one" in line for line in watch.stdout)
    watch.terminate()
    watch.wait()
    if not is_shown:
        print("bench wrong rust: kmod-rs watch has not shown the last request")
    return 2 * REQUESTS / (processor_time() - before)


def feed(pipe):
    while not pipe.exists():
        time.sleep(0.01)
    with pipe.open("w") as file:
        for seq in range(1, REQUESTS + 1):
            name = "the-last-one" if seq == REQUESTS else f"net-pf-{seq % 40}"
            file.write(EVENTS.format(seq=seq, time=seq / 10, name=name, pid=1000 + seq, helper=9000 + seq))


def main():
    program, root, rounds = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    make_machine(root)
    for _ in range(rounds):
        took, _, memory = measure(program, "--root", root, "status")
        figure("status-us", took * 1000)
        figure("status-kb", memory)
        for row, options in (("recent", ()), ("json", ("--json",))):
            took, lines, memory = measure(program, "--root", root, *options, "recent")
            if lines < RECORDS:
                print(f"bench wrong rust: kmod-rs recent shows {lines} lines of {RECORDS} records")
            figure(f"{row}-ms", took)
            figure(f"{row}-kb", memory)
        figure("watch-events", measure_watch(program, root))


main()
