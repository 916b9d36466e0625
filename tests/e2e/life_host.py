#!/usr/bin/env python3
"""The life of a host: two race for a workspace, many callers attach to one build, idle ones leave, SIGTERM loses nothing."""
import json
import os
import shutil
import signal
import subprocess

from crash_lib import NIGHT, PROGRAM, PROMPT, World, command_of, descendants, finish, is_fork_server, prove, result_of, stat_of, until, want


def race(worlds):
    world = World(worlds)
    for _ in range(100 if NIGHT else 10):
        both = [subprocess.Popen([PROGRAM, "__host", world.folder], env=world.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True, start_new_session=True) for _ in range(2)]
        world.started += both
        until(lambda: [one for one in both if one.poll() is not None], 20, "one of two hosts left")
        pid = until(world.host, 20, "the winner answers")
        lost = [one for one in both if one.pid != pid][0]
        want(lost.wait(10) == 75, f"the loser's exit is {lost.returncode}")
        words = lost.stderr.read()
        want(str(pid) in words, f"the holder {pid} is not named: {words}")
        winner = [one for one in both if one.pid == pid][0]
        winner.terminate()
        want(winner.wait(10) == 0, f"SIGTERM of an idle host: {winner.returncode}")


def attach(worlds):
    world = World(worlds)
    world.quick_tests(1)
    many = [world.start("gen", PROMPT, "--json") for _ in range(20)]
    ends = [world.ended(one) for one in many]
    codes = sorted(code for code, _, _ in ends)
    want(codes == [0] * 20, f"exit codes {codes}: {[err[-200:] for code, _, err in ends if code][:2]}")
    builds = {result_of(out)["build_id"] for _, out, _ in ends}
    want(len(builds) == 1, f"builds {builds}")
    for kind in ("build.started", "build.completed", "intent.submitted"):
        want(len(world.kinds(kind)) == 1, f"{len(world.kinds(kind))} times {kind}")
    # The same words once more, when the draft is there: it is told at once.
    code, result, err = world.gen(limit_s=30)
    want(code == 0 and result["state"] == "draft", f"gen after the draft: exit {code}: {err[-300:]}")
    world.verify()


def two_prompts(worlds):
    world = World(worlds)
    world.quick_tests(3)
    first = world.start("gen", PROMPT, "--json")
    until(lambda: world.kinds("build.started"), 20, "the first build")
    code, _, err = world.run("gen", "Build a LibraryService with File storage", "--json", limit_s=20)
    want(code == 75, f"the second prompt: exit {code}: {err[-300:]}")
    want(len(err.strip()) > 20 and ("open" in err or "build" in err), f"no words: {err}")
    code, out, err = world.ended(first)
    want(code == 0 and result_of(out)["state"] == "draft", f"the first: exit {code}: {err[-300:]}")


def idles_out(worlds):
    world = World(worlds, idle_ms=500)
    world.quick_tests()
    code, _, err = world.gen()
    want(code == 0, f"gen: exit {code}: {err[-300:]}")
    until(lambda: world.host() is None, 8, "the host has left")
    # Its socket goes first: what it still does then takes a moment on a busy machine.
    until(lambda: '"host.left"' in open(world.path("log", "host.log"), encoding="utf-8").read(), 8, "it left with a word")
    world.verify()


def leaves_nothing(worlds):
    """Its fork server is ended and collected, not left to whoever collects orphans."""
    world = World(worlds)
    world.quick_tests()
    code, _, err = world.gen()
    want(code == 0, f"gen: exit {code}: {err[-300:]}")
    servers = [child for child in descendants(world.host()) if is_fork_server(child)]
    want(len(servers) == 1, f"{len(servers)} fork servers")
    code, _, err = world.run("serve", "--stop")
    want(code == 0, f"serve --stop: exit {code}: {err[-300:]}")
    until(lambda: stat_of(servers[0]) is None, 5, "nothing of the fork server is there")


def idles_with_a_dead_watcher(worlds):
    """A watcher that was killed keeps no host."""
    world = World(worlds, idle_ms=500)
    process = world.start("gen", "hello world", "--json")
    until(lambda: world.host() and world.kinds("task.dispatched"), 20, "a build")
    process.kill()
    process.wait(10)
    until(lambda: world.host() is None, 10, "the host has left")


def idles_while_a_person_thinks(worlds):
    world = World(worlds, idle_ms=500)
    world.quick_tests()
    code, result, err = world.gen("Build a TaskService with PostgreSQL storage")
    want(code == 3 and result["state"] == "waiting" and result["items"], f"exit {code}, {result}: {err[-300:]}")
    until(lambda: world.host() is None, 8, "the host has left")
    code, _, err = world.run("answer", result["items"][0], "File")
    want(code == 0, f"answer: exit {code}: {err}")
    until(lambda: world.kinds("build.completed"), 60, "a draft after the answer")
    until(lambda: world.host() is None, 8, "the host has left again")
    world.verify()


def terminated(worlds):
    for after in (20, 40, 60, 75, 90, 100):
        world = World(worlds)
        world.quick_tests(1)
        host = world.serve()
        process = world.start("gen", PROMPT, "--json")
        until(lambda: world.count() >= after, 30, f"record {after}")
        host.terminate()
        want(host.wait(20) == 0, f"SIGTERM at record {after}: exit {host.returncode}")
        code, out, err = world.ended(process)
        want(code == 0 and result_of(out)["state"] == "draft", f"the gen itself: exit {code}: {err[-300:]}")
        want(len(world.kinds("build.completed")) == 1, "one draft")
        world.verify()


def terminated_under_load(worlds):
    """SIGTERM while many requests are on their way: exit 0, and each caller's repeat is answered."""
    world = World(worlds)
    host = world.serve()
    many = [world.start("agent", "register", place) for place in [agent_file(world, number) for number in range(30)]]
    host.send_signal(signal.SIGTERM)
    want(host.wait(20) == 0, f"exit {host.returncode}")
    ends = [world.ended(one) for one in many]
    want(all(code == 0 for code, _, _ in ends), f"{[(code, err[-200:]) for code, _, err in ends if code][:3]}")
    online = [record["payload"].get("agentId") or record.get("agentId") for record in world.kinds("agent.online")]
    mine = sorted(name for name in online if name and name.startswith("own-"))
    want(len(mine) == 30 and len(set(mine)) == 30, f"{len(mine)} registered: {mine}")
    world.verify()


def replaced(worlds):
    """The program is replaced on disk while a gen runs, and the host is killed: what is started then is what stands there now."""
    world = World(worlds)
    world.quick_tests(1)
    program = os.path.join(world.base, "bin", "release", "millwright")
    os.makedirs(os.path.dirname(program))
    shutil.copy(PROGRAM, program)
    said = open(os.path.join(world.base, "said"), "w+", encoding="utf-8")
    process = subprocess.Popen([program, "--workspace", world.folder, "gen", PROMPT, "--json"], env=world.env, cwd=world.base,
                               stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
    world.started.append(process)
    until(lambda: world.count() > 60, 30, "half a build")
    shutil.copy(PROGRAM, program + ".new")
    os.rename(program + ".new", program)
    os.kill(world.host(), signal.SIGKILL)
    code = process.wait(60)
    said.seek(0)
    world.last = said.read()[-1500:]
    want(code == 0, f"exit {code}")
    want(not world.kinds("build.failed") and len(world.kinds("build.completed")) == 1, "one draft")
    said.close()


def cancelled(worlds):
    """A build is cancelled at any moment: nothing of it runs on, the host stays whole, and the same words begin a new one."""
    world = World(worlds)
    world.quick_tests()
    host = world.serve()
    for share in (0.05, 0.2, 0.4, 0.55, 0.7, 0.8, 0.87, 0.9, 0.92, 0.95):
        before = world.count()
        process = world.start("gen", PROMPT, "--json")
        until(lambda: world.count() - before >= 120 * share or process.poll() is not None, 30, "its record")
        code, _, err = world.run("cancel", limit_s=20)
        ended, out, _ = world.ended(process, 30)
        if code != 0:  # it was quicker: a draft does not run any more
            want(ended == 0, f"cancel: exit {code}, gen: {ended}: {err}")
            world.run("reject", "--why", "not wanted", limit_s=20)
            continue
        want(ended != 0 or result_of(out)["state"] in ("cancelled", "draft"), f"a cancelled gen: exit {ended}: {out[-300:]}")
        want(world.host() == host.pid, f"the host is another one after a cancel at {share}")
        until(lambda: all(is_fork_server(pid) for pid in descendants(host.pid)), 8, "nothing of it runs")
    code, result, err = world.gen()
    want(code == 0 and result["state"] == "draft", f"after all cancels: exit {code}: {err[-300:]}")
    world.verify()


def agent_file(world, number):
    place = os.path.join(world.base, f"own-{number}.yaml")
    with open(place, "w", encoding="utf-8") as file:
        file.write(f"agent_id: own-{number}\nagent_type: Test\nskills: [Nothing]\nbackend: {{kind: command, argv: [\"true\"]}}\n")
    return place


def killed_at_its_start(worlds):
    """Whoever asks for something hears of no host that somebody killed before it was ready: the next one does it."""
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    struck = 0
    for number in range(12):
        process = world.start("memory", "add", f"number {number}")
        while process.poll() is None:
            mine = [pid for pid in descendants(process.pid) if b"__host" in command_of(pid)]
            if mine:
                struck += 1
                os.kill(mine[0], signal.SIGKILL)
                break
        code, _, err = world.ended(process)
        want(code == 0, f"try {number + 1}: exit {code}: {err[-300:]}")
        world.run("serve", "--stop")
    want(struck > 0, "no host was seen before it was ready")
    want(len(world.kinds("memory.added")) == 12, "each is recorded once")
    world.verify()


def said_by_hand(worlds):
    """What a person says of an agent stands over a new host, and over the file that said otherwise; a changed file is registered."""
    world = World(worlds)
    agents = os.path.join(world.folder, "agents")
    os.makedirs(agents, exist_ok=True)
    file = os.path.join(agents, "own.yaml")
    text = "agent_id: own-1\nagent_type: Test\nskills: [Nothing]\ncapacity: 7\nbackend: {kind: command, argv: [\"true\"]}\n"
    with open(file, "w", encoding="utf-8") as out:
        out.write(text)

    def own():
        """Of a fresh host: its capacity; None when it is not registered."""
        host = world.serve()
        code, _, err = world.run("memory", "add", "recorded after the files were looked at")
        want(code == 0, err)
        code, out, err = world.run("agent", "list", "--json")
        want(code == 0, err)
        host.send_signal(signal.SIGTERM)
        want(host.wait(20) == 0, f"exit {host.returncode}")
        return next((a["capacity"] for a in json.loads(out)["agents"] if a["agentId"] == "own-1"), None)

    want(own() == 7, "the file is registered")
    mine = agent_file(world, 1)
    code, _, err = world.run("agent", "register", mine)
    want(code == 0, err)
    world.run("serve", "--stop")
    hand = own()
    want(hand is not None and hand != 7, f"registered by hand, and the next host says {hand}")
    code, _, err = world.run("agent", "remove", "own-1")
    want(code == 0, err)
    world.run("serve", "--stop")
    want(own() is None, "removed by hand, and the next host brought it back")
    with open(file, "w", encoding="utf-8") as out:
        out.write(text.replace("7", "9"))
    want(own() == 9, "the file was changed")
    world.verify()


prove("life_two_hosts_race_P11", race)
prove("life_twenty_gens_attach_to_one_build", attach)
prove("life_another_prompt_meanwhile_is_refused_75", two_prompts)
prove("life_idle_host_leaves", idles_out)
prove("life_a_host_that_leaves_leaves_no_process", leaves_nothing)
prove("life_idle_host_leaves_with_a_dead_watcher", idles_with_a_dead_watcher)
prove("life_idle_host_leaves_while_a_person_thinks", idles_while_a_person_thinks)
prove("life_sigterm_in_a_gen_exits_0_and_goes_on_P11", terminated)
prove("life_cancel_at_any_moment", cancelled)
prove("life_program_replaced_in_a_gen", replaced)
prove("life_sigterm_under_load", terminated_under_load)
prove("life_a_host_killed_at_its_start_is_started_again", killed_at_its_start)
prove("life_an_agent_stays_what_a_person_said_of_it", said_by_hand)
finish()
