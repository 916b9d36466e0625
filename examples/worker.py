#!/usr/bin/env python3
"""A worker: an agent that takes its work over the host's socket (docs/agents.md). It needs nothing but Python.

    worker.py SOCKET [NAME]     for agents/worker.yaml of this folder; SOCKET is WORKSPACE/.millwright/millwright.sock

On another machine: ssh -L /tmp/mw.sock:WORKSPACE/.millwright/millwright.sock HOST, then worker.py /tmp/mw.sock NAME.
Ends with Ctrl-C. A host that is away is waited for; what was in hand is held on to, and an answer is sent until somebody has recorded it.
"""
import http.client
import json
import os
import socket
import sys
import threading
import time

AGENT = "word-counter"
AT_ONCE = 4


def work(task):
    """What this worker can do: {"type", "payload"}, or {"error": {"class", "message", "retryable"}}."""
    text = task["payload"].get("text")
    if not isinstance(text, str):
        return {"error": {"class": "invalid_input", "message": "the payload has no text", "retryable": False}}
    return {"type": task["expects"]["type"], "payload": {"words": len(text.split())}}


class Host(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=90)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def say(self, verb, body):
        self.request("POST", f"/v1/agents/{AGENT}/{verb}", json.dumps(body), {"Content-Type": "application/json"})
        answer = self.getresponse()
        text = json.loads(answer.read())
        if answer.status == 503:
            raise ConnectionError(text["error"]["message"])
        if answer.status != 200:
            raise SystemExit(f"worker: {text['error']['message']} {text['error'].get('pointer', '')}")
        return text


def heartbeat(path, name, held, every_s):
    """Long work keeps its lease by this."""
    while True:
        time.sleep(every_s)
        try:
            if held:
                Host(path).say("heartbeat", {"worker": name, "holds": list(held)})
        except (OSError, http.client.HTTPException):
            pass  # the other thread finds out, and comes back


def main():
    path = sys.argv[1]
    name = sys.argv[2] if len(sys.argv) > 2 else f"{socket.gethostname()}-{os.getpid()}"
    held, answers, host = [], [], None
    threading.Thread(target=heartbeat, args=(path, name, held, 8), daemon=True).start()
    while True:
        try:
            host = host or Host(path)
            got = host.say("lease", {"worker": name, "max": AT_ONCE, "waitMs": 20000, "holds": list(held), "answers": answers})
        except (OSError, http.client.HTTPException):
            host = None
            time.sleep(0.2)  # the host is away: the same answers again
            continue
        again = {told["fence"] for told in got["answers"] if told.get("code") == "full"}
        answers = [answer for answer in answers if answer["fence"] in again]
        held[:] = [answer["fence"] for answer in answers] + [task["fence"] for task in got["tasks"]]
        for task in got["tasks"]:
            answers.append({"taskId": task["taskId"], "fence": task["fence"], **work(task)})


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
