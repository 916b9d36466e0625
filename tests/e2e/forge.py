#!/usr/bin/env python3
"""PQ-04 against a stub forge: one POST with the build's ids, the forge's url in the record, and its token nowhere."""
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading

TOKEN = "forge-token-0123456789"
seen = []


class Forge(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        seen.append((self.path, self.headers["authorization"], body))
        answer = json.dumps({"html_url": f"http://forge.invalid{self.path}/7", "state": "open", "number": 7}).encode()
        self.send_response(201)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def prove(name, holds, why=""):
    print(f"{'ok' if holds else 'not ok'} {name}" + ("" if holds else f": {why}"), flush=True)
    return holds


def main(program):
    examples = pathlib.Path(__file__).resolve().parents[2] / "examples"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Forge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    environment = dict(os.environ, FORGE_URL=f"http://127.0.0.1:{server.server_port}", FORGE_TOKEN=TOKEN)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mw-forge-"))
    (folder / "agents").mkdir()
    for name in ("forge.sh", "forge.yaml"):
        shutil.copy(examples / name, folder / "agents" / name)

    def millwright(*words):
        return subprocess.run([program, "--workspace", str(folder), *words], env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=300, check=False)

    millwright("init")
    done = millwright("gen", "a todo list in memory", "--json")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    created = [record for record in records if record.get("type") == "PullRequestCreated"]
    holds = prove("PQ-04 gen completes with the forge's pull request", done.returncode == 0 and len(created) == 1,
                  f"exit {done.returncode}: {done.stderr[-600:]}")
    if holds:
        payload, (path, authorization, body) = created[0]["payload"], seen[0]
        holds &= prove("PQ-04 the forge was asked once", len(seen) == 1, seen)
        holds &= prove("PQ-04 url and status are the forge's", payload["url"].endswith(f"{path}/7") and payload["status"] == "open", payload)
        holds &= prove("PQ-04 branch, repository and title go to the forge",
                       path.startswith("/repos/") and body["head"].startswith("feature/") and body["title"].startswith("feat("), (path, body))
        holds &= prove("PQ-11 the ids stand in its body", all(word in body["body"] for word in (created[0]["traceId"], created[0]["blueprintId"])), body)
        holds &= prove("P19 the token reached the forge and no record", authorization == f"Bearer {TOKEN}" and TOKEN not in done.stdout, authorization)
    millwright("serve", "--stop")
    server.shutdown()
    shutil.rmtree(folder, ignore_errors=True)
    return 0 if holds else 1


sys.exit(main(sys.argv[1]))
