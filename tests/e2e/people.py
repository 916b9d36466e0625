#!/usr/bin/env python3
"""People who do the work of agents (FH-11, AG-22): what they bring is taken as an agent's files are, and goes the whole way to the app."""
import hashlib
import json
import os
import pathlib
import shutil

from crash_lib import TOP, World, agent_text, finish, prove, until, want

PERSON = "agent_id: {name}\nagent_type: Person\nskills: [{skills}]\ndomains: [\"*\"]\ncapacity: 100\nbackend: {{kind: human}}\n"
CARVING = """\
workflow: Carving
purpose: A person carves, an agent paints what it finds.
roles:
  carver: {task: {skill: CarveStone, expects: StoneCarved, owns: ["'stone/' + intent.name + '/**'"]}}
  painter: {task: {skill: PaintStone, expects: StonePainted, files: trace, owns: ["'stone/**'"]}}
start:
  - role: carver
handoffs:
  - {on: StoneCarved, to: painter}
  - {on: StonePainted, complete: true}
limits: {iterations: 4, timeout: 5m}
"""
PAINT = """#!/bin/sh
cat >/dev/null
printf ' in red' >>stone/arch/head.txt
printf '{"type":"StonePainted","payload":{"seen":"%s"}}\\n' "$(cat stone/arch/head.txt)"
"""


def told(world, *words, limit_s=30):
    code, out, err = world.run(*words, "--json", limit_s=limit_s)
    want(code == 0, f"{' '.join(words)}: exit {code}: {err}")
    return json.loads(out.strip().split("\n")[-1])


def asked(world, skill, count=1):
    """Who waits for a person's answer: the item of a task of this skill that is not answered yet."""
    def open_items():
        over = {record["taskId"] for record in world.records() if record["kind"] == "task.result"}
        return [record["taskId"] for record in world.kinds("task.dispatched")
                if record["taskType"] == skill and record["taskId"] not in over]
    until(lambda: len(open_items()) >= count, 20, f"{skill} in somebody's inbox")
    return open_items()[0]


def folder(world, **files):
    """A folder with these files; `a__b` is a/b."""
    place = pathlib.Path(world.base) / f"brought{len(os.listdir(world.base))}"
    place.mkdir()
    for name, text in files.items():
        path = place / name.replace("__", "/").replace("_txt", ".txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(place)


def blob_of(world, sha256):
    return world.path("blobs", sha256[:2], sha256[2:])


def carving(worlds):
    world = World(worlds)
    want(world.run("init")[0] == 0, "init")
    world.write("workflows/Carving.yaml", CARVING)
    world.write("agents/carver.yaml", PERSON.format(name="carver", skills="CarveStone"))
    world.agent("painter", agent_text("painter", "PaintStone"), PAINT)
    want(world.run("memory", "add", "wakes the host")[0] == 0, "no host")
    status, answer = world.post("StartRun", messageId="m-carve", workflow="Carving", prompt="carve", name="arch")
    want(status == 200, f"{status} {answer}")
    return world, asked(world, "CarveStone")


def files_of_a_person(worlds):
    """What a person brings is in the record by its digest, in that person's name, and the next agent finds it."""
    world, item = carving(worlds)
    brought = folder(world, stone__arch__head_txt="a head")
    code, _, err = world.run("answer", item, "--files", brought)
    want(code == 0, f"exit {code}: {err}")
    until(lambda: world.kinds("trace.ended"), 20, "the painter")
    results = world.kinds("task.result")
    want([r["type"] for r in results] == ["StoneCarved", "StonePainted"], f"{results}")
    want(results[0]["emittedBy"].startswith("user:") and results[0]["filesSha256"] and results[0]["payload"] == {}, f"{results[0]}")
    want(results[1]["payload"] == {"seen": "a head in red"}, f"{results[1]}")
    listed = pathlib.Path(blob_of(world, results[0]["filesSha256"])).read_text()
    want("stone/arch/head.txt" in listed and pathlib.Path(brought, "stone/arch/head.txt").read_text() == "a head", listed)
    world.verify()


def answers_that_are_refused(worlds):
    """What is no answer to a task that makes files is said with what would be one, changes nothing, and keeps nothing."""
    world, item = carving(worlds)
    before = world.count()
    linked = folder(world, stone__arch__head_txt="a head")
    os.symlink("/etc/hostname", os.path.join(linked, "stone/arch/link.txt"))
    a_file = os.path.join(folder(world, x_txt="x"), "x.txt")
    cases = [
        (["done"], "makes files (stone/arch/**)"),
        (["done", "--files", folder(world)], "nothing to take"),
        (["--files", folder(world, stone__arch__head_txt="h", other__mine_txt="m")], "other/mine.txt"),
        (["--files", folder(world, stone__gate__head_txt="h")], "stone/arch/**"),
        (["--files", linked], "link.txt"),
        (["--files", a_file], "is no folder"),
        (["--files", os.path.join(world.base, "nowhere")], "nowhere"),
    ]
    for words, why in cases:
        code, _, err = world.run("answer", item, *words)
        want(code == 2 and why in err, f"answer {words}: exit {code}: {err}")
    code, _, err = world.run("answer", item)
    want(code == 2 and "--files DIR" in err, f"nothing at all: exit {code}: {err}")
    status, answer = world.post("AnswerItem", messageId="m-digest", item=item, action="answer", payload={}, filesSha256="0" * 64)
    want(status == 400, f"a digest that somebody names is no file: {status} {answer}")
    want(world.count() == before, "a refusal is recorded")
    kept = [text for text in ("a head", "h", "m") if os.path.exists(blob_of(world, hashlib.sha256(text.encode()).hexdigest()))]
    want(not kept, f"of folders that were refused {kept} was kept")
    world.verify()


def answered_again(worlds):
    """P05: the same answer again is the same answer, also when its folder is gone or says something else by then."""
    world, item = carving(worlds)
    brought = folder(world, stone__arch__head_txt="a head")
    body = {"messageId": "m-again", "item": item, "action": "answer", "payload": {"n": 1}, "files": brought}
    first = world.post("AnswerItem", **body)
    want(first[0] == 200 and not first[1]["duplicate"], f"{first}")
    until(lambda: world.kinds("trace.ended"), 20, "the painter")
    pathlib.Path(brought, "stone/arch/head.txt").unlink()
    again = world.post("AnswerItem", **body)
    want(again[0] == 200 and again[1]["duplicate"] and again[1]["first"] == first[1]["first"], f"{again}")
    other = world.post("AnswerItem", **{**body, "messageId": "m-other"})
    want(other[0] == 404, f"a second answer: {other}")
    want(len([r for r in world.kinds("task.result") if r["type"] == "StoneCarved"]) == 1, "it was recorded twice")
    world.verify()


def asked_for_another_try_again(worlds):
    """P05: what let it wait again is known when it is said once more, whatever its folder is like by then."""
    world, item = carving(worlds)
    brought = folder(world, stone__arch__head_txt="a head")
    body = {"messageId": "m-retry", "item": item, "action": "retry", "files": brought}
    first = world.post("AnswerItem", **body)
    want(first[0] == 200 and not first[1]["duplicate"], f"{first}")
    until(lambda: len([r for r in world.kinds("task.dispatched") if r["taskType"] == "CarveStone"]) == 2, 20, "the item in the inbox again")
    shutil.rmtree(brought)
    again = world.post("AnswerItem", **body)
    want(again[0] == 200 and again[1]["duplicate"] and again[1]["first"] == first[1]["first"], f"{again}")
    status, answer = world.post("AnswerItem", **{**body, "messageId": "m-new"})
    want(status == 400 and "brought" in json.dumps(answer), f"an answer of its own with a folder that is gone: {status} {answer}")
    world.verify()


EVERYTHING = "SketchPlan, PaintWall, CheckSite, DigHole, FillHole, MarkSite, AskForeman, CheckWork"
PLAN = """\
plan: SitesPlan
group: sites
strategy: wait-all
members:
  - {{id: shared, task: {{skill: PaintWall, expects: WallPainted{owns}}}}}
"""


def build_by_hand(worlds, owns):
    """A build whose every task is a person's."""
    world = World(worlds)
    place = pathlib.Path(world.base, "factory")
    shutil.copytree(TOP / "tests/sim/definitions/host/workflows", place / "workflows")
    shutil.copytree(TOP / "factory/scaffold", place / "scaffold")
    (place / "workflows/plan.yaml").write_text(PLAN.format(owns=owns))
    (place / "agents").mkdir()
    (place / "agents/one.yaml").write_text(PERSON.format(name="one", skills=EVERYTHING))
    world.env["MILLWRIGHT_FACTORY"] = str(place)
    want(world.run("init")[0] == 0, "init")
    want(world.run("memory", "add", "wakes the host")[0] == 0, "no host")
    status, answer = world.post("SubmitIntent", messageId="m-build", prompt="a wall")
    want(status == 200, f"{status} {answer}")
    status, answer = world.post("AnswerItem", item=asked(world, "SketchPlan"), action="answer", payload={"app": "sites", "sites": []})
    want(status == 200, f"{status} {answer}")
    return world, asked(world, "PaintWall")


def app_by_hand(worlds):
    """A plan that people did is drafted, accepted and promoted with what they brought."""
    world, item = build_by_hand(worlds, """, owns: ["'walls/**'"]""")
    brought = folder(world, walls__north_txt="white", walls__south_txt="red")
    code, _, err = world.run("answer", item, "--files", brought)
    want(code == 0, f"exit {code}: {err}")
    check = asked(world, "CheckSite")
    want(world.post("AnswerItem", item=check, action="answer", payload={"result": "Passed"})[0] == 200, "the check's answer")
    until(lambda: world.kinds("artifact.drafted"), 20, "a draft")
    for words in (["accept"], ["promote"]):
        code, _, err = world.run(*words)
        want(code == 0, f"{words}: exit {code}: {err}")
    app = pathlib.Path(world.folder, "app")
    want(sorted(str(p.relative_to(app)) for p in app.rglob("*") if p.is_file()) == ["walls/north.txt", "walls/south.txt"], f"{list(app.rglob('*'))}")
    want((app / "walls/south.txt").read_text() == "red", "another colour")
    world.verify()


def settings_are_kept(worlds):
    """What somebody set in the app's AI settings stands in the next build as well, word for word."""
    world = World(worlds)
    world.quick_tests()
    want(world.run("init")[0] == 0, "init")
    mine = {"control_plane": {"enabled": True, "classifier": {"enabled": False, "llm_config": {"model": "mine", "temperature": 0.25}}}, "note": "\u00e4"}
    world.write("app/config/ai.json", json.dumps(mine))
    code, result, err = world.gen()
    want(code == 0, f"gen: exit {code}: {err}")
    staged = json.loads(pathlib.Path(result["staged"], "config/ai.json").read_text())
    want(staged == mine, f"the next build has {staged}")


def nothing_to_draft(worlds):
    """A build that nobody made a file for has failed, and says so: there is no draft that can be accepted and never promoted."""
    world, item = build_by_hand(worlds, "")
    code, _, err = world.run("answer", item, "painted")
    want(code == 0, f"exit {code}: {err}")
    until(lambda: world.kinds("trace.ended"), 20, "the end")
    failed = world.kinds("build.failed")
    want(len(failed) == 1 and "made a file" in json.dumps(failed[0]) and not world.kinds("artifact.drafted"), f"{failed}")
    code, _, err = world.run("accept")
    want(code != 0, "there is nothing to accept")
    world.verify()


prove("FH11_what_a_person_brings_is_taken_as_an_agents_files_are", files_of_a_person)
prove("FH11_an_answer_without_the_files_that_a_task_makes_is_refused", answers_that_are_refused)
prove("P05_an_answer_with_files_is_taken_once", answered_again)
prove("P05_another_try_that_was_asked_for_with_files_is_asked_for_once", asked_for_another_try_again)
prove("AG22_a_build_by_people_is_drafted_accepted_and_promoted", app_by_hand)
prove("P23_settings_of_the_app_that_somebody_made_are_in_the_next_build", settings_are_kept)
prove("AR05_a_build_without_any_file_is_no_draft_that_could_be_accepted", nothing_to_draft)
finish()
