#!/usr/bin/env python3
"""Plants one defect at a time in the host and expects the simulation (test_sim_host) to see it, by the oracle that is meant to.

    planted_host.py [--build DIR] [--only TEXT] [--seeds N]      exit 0 when every defect was found
Wants a built tree (tools/build.sh release tests). A changed file is compiled as the build compiles it and linked before the libraries, so that
it stands in the place of the sound one. Not part of `make check`; run it when the host or its simulation changes.
"""
import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

TOP = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
# name, file under src/, what stands there, what is planted, what the oracle says
DEFECTS = [
    ("an ask is started when it is decided", "host/commit.c", "    note_changes(host, frame);\n",
     "    note_changes(host, frame);\n"
     "    for (uint32_t i = 0; i < host->core.ask_change_count; i++)\n"
     "        if (host->core.ask_changes[i].opened && mw_host_ask_find(host, host->core.ask_changes[i].seq) != NULL)\n"
     "            mw_host_ask_start(host, host->core.ask_changes[i].seq);\n",
     "P01: ask .* is started and not durable"),
    ("a caller is answered when it is decided", "host/commit.c", "    post->leaves_at = host->core.world.last_seq;\n",
     "    if (post->answered != NULL)\n        post->answered(post->user, &post->answer);\n    post->answered = NULL;\n",
     "P01: .* is acknowledged and record"),
    ("a frame leaves although its sync failed", "host/commit.c", "    if (host->writer_rc != MW_OK) {\n", "    if (false) {\n",
     "P02: |out of order|followers are fed"),
    ("a frame is not synced", "journal/files.c", "if (sys->fdatasync(files->fd) != 0)", "if (false)", "P0[13]: "),
    ("the cache is believed after a kill", "journal/files.c", "survey->tail_segment != 0 && !trusted",
     "survey->tail_segment != 0 && !trusted && survey->damaged", "P0[13]: "),
    ("a new segment's folder is not synced", "journal/files.c", "if (!files->folder_dirty)", "if (true)", "P0[13]: "),
    ("a repeat is not known", "core/core.c",
     "if (known != NULL && known->body_hash == mw_str_hash(request->body_hash)) {",
     "if (known != NULL && known->body_hash == 0) {", "P05: .* was acknowledged, and said again it is refused"),
    ("a repeat is done again", "core/core.c",
     "    const struct mw_remembered *known = mw_remembered_find(core, request->message_id);\n",
     "    const struct mw_remembered *known = NULL;\n", "P05: .* said again is done again"),
    ("another body under one messageId is a repeat", "core/core.c",
     "known->body_hash == mw_str_hash(request->body_hash)", "known->seq > 0", "P05: .* with another body"),
    ("a timer rings when the clock was set back", "host/deadlines.c",
     "        if (open != NULL && mw_now_unix_us() < next.due_us)\n",
     "        static mw_seq last;\n"
     "        if (open != NULL && mw_now_unix_us() < next.due_us && (last == next.seq || (last = next.seq, false)))\n",
     "P07: a timer rings .* early"),
    ("a timer rings twice", "host/deadlines.c", "        mw_host_tell(host, MW_REQ_RING_TIMER, open->item, open->seq, MW_STR_NONE);",
     "        mw_seq item = open->item, seq = open->seq;\n    mw_host_tell(host, MW_REQ_RING_TIMER, item, seq, MW_STR_NONE);\n"
     "    mw_host_tell(host, MW_REQ_RING_TIMER, item, seq, MW_STR_NONE);", "P07: timer .* rings twice"),
    ("a timer is not started", "host/asks.c", "        mw_deadline_add(host, seq, open->due_us);",
     "        (void)0;", "P07: ask .* has a deadline and no timer"),
    ("the timer is not armed for what is sooner", "host/deadlines.c", "    if (all->heap[0].seq == seq)\n", "    if (all->count == 1)\n",
     "it never ends|rings|P07"),
    ("a clock that was set is not seen", "host/deadlines.c", "    if (moved_us > CLOCK_SET_US || moved_us < -CLOCK_SET_US) {\n",
     "    if (false) {\n", "it never ends|P07"),
    ("a clock that is set there and back is not seen", "host/deadlines.c",
     "        if (moved_us > CLOCK_SET_US || moved_us < -CLOCK_SET_US)\n            on_clock_look(&all->clock);",
     "        (void)moved_us;", "it never ends|P07"),
    ("a worker is given what is decided to be over", "host/workers.c",
     "            if (mw_table_get(&host->core.world.asks, offer->ask->seq) != NULL)\n                return offer;", "            return offer;",
     "P06: task .* is given to a worker and not open"),
    ("a worker waits beside a task", "host/workers.c", "        while (agent->offer_count > 0 && agent->waiting != NULL) {\n",
     "        while (false) {\n", "P06: .* tasks wait beside workers"),
    ("a no_retry task is started again after a kill", "host/asks.c", "        if (!tell_interrupted(host, ask))\n",
     "        if (ask->seq != 0 || !tell_interrupted(host, ask))\n", "P06: .* is asked for the time 2"),
    ("what was leased is not known to the next host", "host/leases.c", "    return leases->before_count > 0 && bsearch(",
     "    return leases->before_count > 9999 && bsearch(", "P06: task .* is given to another while its worker may come back"),
    ("what is leased is not noted", "host/workers.c", "        offer->slot = mw_leases_note(&host->workers->leases, offer->ask->seq);\n}",
     "        offer->slot = 0;\n}", "P06: task .* is given to another while its worker may come back"),
    ("a closed ask is kept", "host/asks.c", "    else if (!ask->held)\n        mw_host_ask_forget(host, ask);", "",
     "ask .* is closed and kept for nothing"),
    ("a cancelled attempt runs on", "host/asks.c", "mw_attempt_cancel(ask->attempt);", "(void)ask;", "P06: .* runs and its ask .* is closed"),
    ("a start asks nobody", "host/host.c", "    mw_host_asks_start_all(host);\n", "", "P06: ask .* is open, durable and not started"),
    ("leftovers are left", "host/host.c", "        host->start_rc = end_leftovers(host, &host->start_err);",
     "        host->start_rc = host->draining ? end_leftovers(host, &host->start_err) : MW_OK;",
     "P06: .* runs on from an earlier host"),
    ("a replay forgets what was closed", "host/replay.c", "            mw_host_ask_closed(host, host->core.ask_changes[i].seq);",
     "            (void)0;", "P06: "),
    ("no fence", "work/task.c", "if (task->state == MW_TASK_RUNNING && task->fence == request->fence)",
     "if (task->state == MW_TASK_RUNNING)", "P06: the answer to ask .*, which is over, changed the state"),
    ("more run at once than may", "work/agent.c", "work->running >= work->running_max", "work->running >= 2 * work->running_max",
     "attempts run, .* counted, .* allowed"),
    ("an attempt forgets to count down", "host/attempt.c", "    free(attempt);\n    host->attempts_running--;", "    free(attempt);",
     "never ends|attempts are left|waits for nothing"),
    ("a payload is named and not kept", "host/attempt_collect.c",
     "    return mw_blob_put(&attempt->host->blobs, payload, attempt->payload_sha256, &attempt->err);",
     "    mw_sha256_hex(payload, attempt->payload_sha256);\n    return MW_OK;", "P22: record .* names blob"),
    ("a blob is not synced", "stage/blob.c", "if (fsync(puts[i].fd) != 0)", "if (false)", "P22: record .* names blob"),
    ("a blob's name is not synced", "stage/blob.c", "enum mw_rc rc = mw_fsync_dir(blobs->root_fd, folder, err);",
     "enum mw_rc rc = MW_OK;", "P22: record .* names blob"),
    ("full mode ends only with a frame", "host/commit.c", "if (host->full && host->writing == NULL)", "if (false)",
     "P10: "),
    ("a child that speaks is idle", "host/attempt.c",
     "            (void)uv_timer_start(attempt->idle, on_idle, attempt->agent.idle_ms, 0);\n        if (!attempt->agent.answers_by_diff",
     "            (void)uv_timer_again(attempt->idle);\n        if (!attempt->agent.answers_by_diff",
     "is ended for its silence"),
    ("a bundle waits for space for ever", "host/effects.c",
     "    effect->ask->held = false;\n", "", "is closed and kept|nothing works|never ends|waits for nothing|asks are left"),
    ("a promotion that did not happen is told", "stage/promote.c",
     "    if (renameat2(place->parent_fd, place->beside, place->parent_fd, place->name,\n",
     "    if (!there || renameat2(place->parent_fd, place->beside, place->parent_fd, place->name,\n", "P12: "),
    ("what is applied depends on more than the record", "work/task_apply.c", "    task->fence = event->seq;",
     "    static unsigned calls;\n    task->fence = event->seq + (++calls % 50 == 0);", "live and replayed state differ|runs without an ask"),
]


def commands(build):
    """The compile command of each source, and the link command of the simulation."""
    with open(f"{build}/compile_commands.json", encoding="utf-8") as handle:
        compiles = {entry["file"]: entry["command"] for entry in json.load(handle)}
    listed = subprocess.run(["ninja", "-C", build, "-t", "commands", "test_sim_host"], check=True, capture_output=True, text=True)
    links = [line for line in listed.stdout.splitlines() if " -o test_sim_host " in line]
    return compiles, links[-1]


def compile_changed(command, source, text, folder):
    changed = f"{folder}/{os.path.basename(source)}"
    with open(changed, "w", encoding="utf-8") as handle:
        handle.write(text)
    words = shlex.split(command)
    words[words.index("-o") + 1] = f"{folder}/changed.o"
    words[words.index("-c") + 1] = changed
    words = [word for word in words if word != "-Werror"] + ["-w"]
    return subprocess.run(words, cwd=folder, check=False).returncode == 0


def play(build, link, folder, seeds):
    linked = link.replace(" -o test_sim_host ", f" {folder}/changed.o -o {folder}/planted ")
    if subprocess.run(linked, cwd=build, shell=True, check=False).returncode != 0:
        return None
    environment = dict(os.environ, MW_SEEDS=str(seeds))
    try:
        done = subprocess.run([f"{folder}/planted"], cwd=TOP, check=False, timeout=900, capture_output=True, env=environment)
    except subprocess.TimeoutExpired:
        return "it hangs"
    if done.returncode == 0:
        return ""
    words = done.stderr.decode(errors="replace").splitlines()
    told = [line for line in words if re.match(r".*\.h:\d+: |.*\.c:\d+: ", line)]
    return "\n".join(told) if told else "\n".join(words[-3:])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=f"{TOP}/build/release")
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=6000, help="of each theme")
    args = parser.parse_args()
    compiles, link = commands(args.build)
    missed = 0
    chosen = [defect for defect in DEFECTS if args.only in defect[0]]
    for name, file, old, new, oracle in chosen:
        source = f"{TOP}/src/{file}"
        with open(source, encoding="utf-8") as handle:
            sound = handle.read()
        if old not in sound:
            print(f"STALE   {name}: '{old.strip()}' is not in src/{file}", flush=True)
            missed += 1
            continue
        with tempfile.TemporaryDirectory() as folder:
            said = None
            if compile_changed(compiles[source], source, sound.replace(old, new, 1), folder):
                said = play(args.build, link, folder, args.seeds)
        if said is None:
            verdict, why = "BROKEN", "does not build"
        elif said == "":
            verdict, why = "MISSED", ""
        elif not re.search(oracle, said):
            verdict, why = "OTHER", said
        else:
            verdict, why = "found", re.sub(r"^.*?: .*?: ", "", said.splitlines()[0], count=1)
        missed += verdict != "found"
        print(f"{verdict:7} {name}: {why[:300]}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} planted defects found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
