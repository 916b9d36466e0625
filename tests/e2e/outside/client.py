#!/usr/bin/env python3
"""An outsider: it has the blueprint, as its author wrote it, and what `up --json` said, and uses the app through openapi.json.

client.py use BLUEPRINT READY STATE      drives every use case; what has to be found later is written to STATE
client.py again BLUEPRINT READY STATE    after a restart, a promote or a rollback: what was written then is still there, to the byte

Written from docs/blueprint.md and docs/generated-app.md. Every difference is one line `wrong: …`; exit 1 when there is one.
"""
import base64
import http.client
import json
import re
import sys
import urllib.parse
import uuid

import reading
import values

METHODS = {"create": "post", "read": "get", "list": "get", "update": "patch", "delete": "delete", "set": "post", "assign": "post",
           "increment": "post"}
TIMEOUT_S = 20
TAKEN = ("id", "createdAt", "updatedAt", "ownerId")
ABSENT = object()


class Wrongs:
    def __init__(self):
        self.lines = []
        self.checks = 0

    def check(self, holds, text):
        self.checks += 1
        if not holds:
            self.lines.append(text)
        return bool(holds)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.raw = status, headers, body
        try:
            self.json = json.loads(body) if body else None
        except ValueError:
            self.json = None

    def __str__(self):
        return f"{self.status} {self.raw[:300]!r}"


class Service:
    def __init__(self, said, token, meant):
        self.name, self.meant, self.token = said["name"], meant, token
        parts = urllib.parse.urlsplit(said["url"])
        self.host, self.port, self.prefix = parts.hostname, parts.port, parts.path.rstrip("/")
        self.openapi_url = urllib.parse.urljoin(said["url"].rstrip("/") + "/", said["openapi"])

    def ask(self, method, path, body=ABSENT, *, token=ABSENT, headers=(), raw=None):
        sent = dict(headers)
        token = self.token if token is ABSENT else token
        if token is not None and self.meant["auth"]:
            sent["Authorization"] = f"Bearer {token}"
        if raw is None and body is not ABSENT:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method.upper(), self.prefix + path, body=raw, headers=sent)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


def same_value(left, right):
    if isinstance(left, bool) or isinstance(right, bool) or not isinstance(left, (int, float)) or not isinstance(right, (int, float)):
        return type(left) is type(right) and left == right
    return abs(left - right) <= 1e-9 * max(1, abs(left), abs(right))


def same_record(left, right):
    return left.keys() == right.keys() and all(same_value(left[key], right[key]) for key in left)


class Outsider:
    def __init__(self, service, wrongs):
        self.service, self.wrongs, self.meant = service, wrongs, service.meant
        self.operations = {}
        self.records = {}  # entity -> {id: record}, everything that was created and not deleted
        self.order = {}

    def check(self, holds, text):
        return self.wrongs.check(holds, f"{self.service.name}: {text}")

    def cases(self, entity, effect):
        return [case for case in self.meant["use_cases"] if case["entity"] == entity and case["effect"] == effect]

    def case(self, entity, effect):
        return next(iter(self.cases(entity, effect)), None)

    # --- the description ---

    def describe(self):
        answer = self.service.ask("GET", "/openapi.json", token=None)
        if not self.check(answer.status == 200 and isinstance(answer.json, dict), f"GET /openapi.json without a token: {answer}"):
            return False
        self.check(str(answer.json.get("openapi", "")).startswith("3.1"), f"openapi {answer.json.get('openapi')}")
        found = {}
        for path, methods in answer.json.get("paths", {}).items():
            for method, operation in methods.items():
                for key in (operation.get("x-use-case"), operation.get("operationId")):
                    if key:
                        found.setdefault("".join(reading.words(key)), (method, path, operation))
        for case in self.meant["use_cases"]:
            operation = found.get("".join(reading.words(case["name"])))
            if not self.check(operation is not None, f"openapi.json has no operation for {case['name']}: {sorted(found)}"):
                continue
            method, path, _ = operation
            self.check(method == METHODS[case["effect"]], f"{case['name']} ({case['effect']}) is {method} {path}")
            self.check(("{id}" in path) == (case["effect"] not in ("create", "list")), f"{case['name']} is at {path}")
            self.operations[case["name"]] = (method, path)
        meant = {case["name"].lower() for case in self.meant["use_cases"]}
        told = {operation["x-use-case"].lower() for _, _, operation in found.values() if operation.get("x-use-case")}
        self.check(told <= meant, f"openapi.json has use cases nobody asked for: {sorted(told - meant)}")
        for path in ("/health", "/ready"):
            answer = self.service.ask("GET", path, token=None)
            self.check(answer.status == 200, f"GET {path}: {answer}")
        return all(case["name"] in self.operations for case in self.meant["use_cases"])

    def do(self, case, body=ABSENT, record_id="", **more):
        method, path = self.operations[case["name"]]
        return self.service.ask(method, path.replace("{id}", urllib.parse.quote(record_id, safe="")), body, **more)

    # --- bodies ---

    def value(self, field, which=0):
        if field["type"] != "reference":
            choices = values.accepted(field)
            return choices[which % len(choices)]
        target = field["entity"]
        if self.case(target, "create") is None:
            return "anything goes"
        if not self.records.get(target):
            self.create(target, self.needed(target))
        return next(iter(self.records.get(target) or {"no record could be made": 0}))

    def needed(self, entity):
        fields = self.meant["entities"][entity]
        return {name: self.value(field) for name, field in fields.items() if field["required"] and "default" not in field}

    def everything(self, entity, which=0):
        body = {}
        for name, field in self.meant["entities"][entity].items():
            if field["type"] == "reference" and field["entity"] == entity and not self.records.get(entity):
                continue  # nothing to refer to yet
            body[name] = self.value(field, which)
        return body

    def expected(self, entity, body):
        fields = self.meant["entities"][entity]
        record = {name: field["default"] for name, field in fields.items() if "default" in field}
        record.update({name: value for name, value in body.items() if value is not None})
        return record

    def plain(self, record):
        return {key: value for key, value in record.items() if key not in ("id", "createdAt", "updatedAt")}

    def keep(self, entity, record):
        self.records.setdefault(entity, {})[record["id"]] = record

    # --- use cases ---

    def create(self, entity, body):
        case = self.case(entity, "create")
        answer = self.do(case, body)
        text = f"{case['name']} {json.dumps(body)[:200]}"
        if not self.check(answer.status == 201 and isinstance(answer.json, dict), f"{text}: {answer}"):
            return None
        record = answer.json
        self.check(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str(record.get("id"))), f"{text}: id {record.get('id')}")
        for key in ("createdAt", "updatedAt"):
            self.check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", str(record.get(key))), f"{text}: {key} {record.get(key)}")
        self.check(same_record(self.plain(record), self.expected(entity, body)), f"{text}: answers {json.dumps(record)[:400]}")
        self.keep(entity, record)
        return record

    def found(self, entity, record_id):
        """The record by the use cases there are; ABSENT when there is none to read it."""
        case = self.case(entity, "read")
        if case is not None:
            answer = self.do(case, record_id=record_id)
            return answer.json if answer.status == 200 else None
        case = self.case(entity, "list")
        if case is None:
            return ABSENT
        return next((item for item in self.listed(case) if item.get("id") == record_id), None)

    def listed(self, case):
        items, offset = [], 0
        while True:
            method, path = self.operations[case["name"]]
            answer = self.service.ask(method, f"{path}?limit=1000&offset={offset}")
            if not self.check(answer.status == 200 and isinstance(answer.json, dict) and isinstance(answer.json.get("items"), list)
                              and set(answer.json) == {"items", "total"}, f"{case['name']}: {answer}"):
                return items
            items += answer.json["items"]
            offset = len(items)
            if not answer.json["items"] or offset >= answer.json["total"]:
                self.check(offset == answer.json["total"], f"{case['name']}: {offset} items, total {answer.json['total']}")
                return items

    def is_there(self, entity, record, after):
        now = self.found(entity, record["id"])
        if now is not ABSENT:
            self.check(now is not None and same_record(now, record), f"{entity} after {after}: {json.dumps(now)[:300]} instead of {json.dumps(record)[:300]}")

    def refuses(self, case, body, wrong, record_id="", about=""):
        answer = self.do(case, body, record_id)
        error = (answer.json or {}).get("error", {}) if isinstance(answer.json, dict) else {}
        named = sorted(entry.get("field") for entry in error.get("fields", []) if isinstance(entry, dict)) if isinstance(error, dict) else []
        text = f"{case['name']} {about} {json.dumps(body)[:160]}"
        self.check(answer.status == 400 and error.get("code") == "validation_failed", f"{text}: {answer}")
        self.check(named == sorted(wrong), f"{text}: names {named}, wrong are {sorted(wrong)}")

    def creating(self, entity):
        case = self.case(entity, "create")
        fields = self.meant["entities"][entity]
        first = self.create(entity, self.needed(entity))
        if first is None:
            return
        self.is_there(entity, first, "create")
        for which in range(3):
            self.create(entity, self.everything(entity, which))
        good = self.needed(entity)
        optional = [name for name, field in fields.items() if not field["required"]]
        if optional:
            self.create(entity, {**good, **{name: None for name in optional if "default" not in fields[name]}})
        must = [name for name, field in fields.items() if field["required"] and "default" not in field]
        before = len(self.records[entity])
        if must:
            self.refuses(case, {}, must, about="nothing")
            self.refuses(case, {name: None for name in must}, must, about="null")
        for name, field in fields.items():
            for value in values.refused(field):
                self.refuses(case, {**good, name: value}, [name], about=field["type"])
            if field["type"] == "reference" and self.case(field["entity"], "create"):
                self.refuses(case, {**good, name: str(uuid.uuid4())}, [name], about="a reference to nothing")
        if fields:
            self.refuses(case, {name: values.refused(field)[0] for name, field in fields.items()}, list(fields), about="all wrong")
        self.refuses(case, {**good, "noSuchFieldHere": 1}, ["noSuchFieldHere"])
        for name in TAKEN:
            self.refuses(case, {**good, name: "x"}, [name])
        for name in ("constructor", "__proto__", "toString", "hasOwnProperty"):
            answer = self.do(case, raw=json.dumps({**good, name: 1}).encode())
            self.check(answer.status == 400, f"{case['name']} with {name}: {answer}")
        lister = self.case(entity, "list")
        if lister:
            self.check(len(self.listed(lister)) == before, f"{case['name']}: a refused body has left a record")

    def listing(self, entity):
        case = self.case(entity, "list")
        method, path = self.operations[case["name"]]
        mine = list(self.records.get(entity, {}).values())
        items = self.listed(case)
        self.check([item.get("id") for item in items] == [record["id"] for record in mine], f"{case['name']}: other records than mine, or another order")
        for item, record in zip(items, mine):
            self.check(same_record(item, record), f"{case['name']}: {json.dumps(item)[:200]} instead of {json.dumps(record)[:200]}")
        answer = self.service.ask(method, f"{path}?limit=1&offset=1")
        self.check(answer.status == 200 and [item["id"] for item in answer.json["items"]] == [record["id"] for record in mine[1:2]]
                   and answer.json["total"] == len(mine), f"{case['name']}?limit=1&offset=1: {answer}")
        for query in ("limit=0", "limit=1001", "limit=x", "offset=-1"):
            answer = self.service.ask(method, f"{path}?{query}")
            self.check(answer.status == 400, f"{case['name']}?{query}: {answer}")

    def changes(self, case, record, body, changed):
        """The use case answers the record with exactly these changes; it is found so afterwards."""
        answer = self.do(case, body, record["id"])
        text = f"{case['name']} {'' if body is ABSENT else json.dumps(body)[:160]}"
        if not self.check(answer.status == 200 and isinstance(answer.json, dict), f"{text}: {answer}"):
            return record
        expected = {**record, **changed, "updatedAt": answer.json.get("updatedAt")}
        expected = {key: value for key, value in expected.items() if value is not None}
        self.check(same_record(answer.json, expected), f"{text}: {json.dumps(answer.json)[:300]} instead of {json.dumps(expected)[:300]}")
        self.check(str(answer.json.get("updatedAt")) > record["updatedAt"], f"{text}: updatedAt has not moved")
        self.keep(case["entity"], answer.json)
        self.is_there(case["entity"], answer.json, case["name"])
        return answer.json

    def updating(self, entity, record):
        case = self.case(entity, "update")
        fields = self.meant["entities"][entity]
        for name, field in fields.items():
            if field["type"] == "reference":
                value = self.value(field)
                record = self.changes(case, record, {name: value}, {name: value})
            else:
                for value in values.accepted(field)[:3]:
                    record = self.changes(case, record, {name: value}, {name: value})
            for value in values.refused(field)[:4]:
                self.refuses(case, {name: value}, [name], record["id"], field["type"])
            if not field["required"]:
                record = self.changes(case, record, {name: None}, {name: None})
            elif "default" not in field:
                self.refuses(case, {name: None}, [name], record["id"], "null")
        answer = self.do(case, {}, record["id"])
        self.check(answer.status == 400, f"{case['name']} with no field: {answer}")
        self.refuses(case, {"noSuchFieldHere": 1}, ["noSuchFieldHere"], record["id"])
        self.is_there(entity, record, "refused updates")

    def assigning(self, case, record):
        fields = self.meant["entities"][case["entity"]]
        body = {name: self.value(fields[name], 1) for name in case["fields"]}
        record = self.changes(case, record, body, body)
        for name in case["fields"]:
            self.refuses(case, {key: value for key, value in body.items() if key != name}, [name], record["id"], "one missing")
            self.refuses(case, {**body, name: values.refused(fields[name])[0]}, [name], record["id"], "one wrong")
        other = next((name for name in fields if name not in case["fields"]), None)
        if other:
            self.refuses(case, {**body, other: self.value(fields[other])}, [other], record["id"], "another field")
        self.is_there(case["entity"], record, f"refused {case['name']}")

    def incrementing(self, case, record):
        field = self.meant["entities"][case["entity"]][case["field"]]
        for _ in range(3):
            before = record.get(case["field"], 0)
            after = before + case["by"]
            if values.within(field, after) and (field["type"] != "integer" or abs(after) <= values.INTEGER_MAX):
                record = self.changes(case, record, ABSENT, {case["field"]: after})
            else:
                answer = self.do(case, ABSENT, record["id"])
                self.check(400 <= answer.status < 500, f"{case['name']} from {before} over the bound: {answer}")
                self.is_there(case["entity"], record, f"a refused {case['name']}")
        answer = self.do(case, {"by": 5}, record["id"])
        self.check(answer.status == 400, f"{case['name']} with a body that means nothing: {answer}")

    def deleting(self, entity):
        case = self.case(entity, "delete")
        record = self.create(entity, self.needed(entity)) if self.case(entity, "create") else None
        if record is None:
            return
        answer = self.do(case, record_id=record["id"])
        self.check(answer.status == 204 and not answer.raw, f"{case['name']}: {answer}")
        del self.records[entity][record["id"]]
        self.check(self.found(entity, record["id"]) in (None, ABSENT), f"{entity} is still there after {case['name']}")
        answer = self.do(case, record_id=record["id"])
        self.check(answer.status == 404, f"{case['name']} a second time: {answer}")

    # --- the door ---

    def door(self, case):
        effect, name = case["effect"], case["name"]
        method, path = self.operations[name]
        somewhere = path.replace("{id}", str(uuid.uuid4()))
        body = {} if effect in ("create", "update", "assign", "set", "increment") else ABSENT
        if self.meant["auth"]:
            head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
            token = self.service.token
            parts = token.split(".")
            swapped = ".".join((parts[0], parts[1], parts[2][:-6] + ("AAAAAA" if parts[2][-6:] != "AAAAAA" else "BBBBBB")))
            for wrong in (None, "", "x", f"{head}.{parts[1]}.", swapped, f"{parts[0]}.{parts[1]}"):
                answer = self.service.ask(method, somewhere, body, token=wrong)
                self.check(answer.status == 401 and "bearer" in answer.headers.get("www-authenticate", "").lower(),
                           f"{name} with the token {str(wrong)[:20]!r}: {answer}")
        if effect not in ("create", "list"):
            answer = self.service.ask(method, somewhere, body)
            self.check(answer.status == 404, f"{name} of an unknown id: {answer}")
        if effect == "create":
            for raw, kind, status in ((b"{", "application/json", 400), (b"[]", "application/json", 400), (b"{}", "text/plain", 415), (b'"x"', "application/json", 400)):
                answer = self.service.ask(method, path, raw=raw, headers={"Content-Type": kind})
                self.check(answer.status == status, f"{name} with {raw!r} as {kind}: {answer}")
            answer = self.service.ask(method, path, raw=b"{")
            self.check((answer.json or {}).get("error", {}).get("code") == "malformed_json", f"{name} with malformed JSON: {answer}")
        answer = self.service.ask("PUT", somewhere)
        self.check(answer.status == 405 and method.upper() in answer.headers.get("allow", ""), f"PUT {path}: {answer}")

    def use(self):
        if not self.describe():
            return
        for case in self.meant["use_cases"]:
            self.door(case)
        answer = self.service.ask("GET", "/no/such/path")
        self.check(answer.status == 404, f"an unknown path: {answer}")
        for entity in self.meant["entities"]:
            if self.case(entity, "create"):
                self.creating(entity)
        for entity in self.meant["entities"]:
            if self.case(entity, "create") and self.records.get(entity):
                self.changing(entity)
            if self.case(entity, "delete"):
                self.deleting(entity)
            if self.case(entity, "list"):
                self.listing(entity)

    def changing(self, entity):
        record = next(iter(self.records[entity].values()))
        if self.case(entity, "update"):
            self.updating(entity, record)
        for case in self.cases(entity, "set"):
            for body in (ABSENT, {}):
                record = self.records[entity][record["id"]]
                self.changes(case, record, body, case["set"])
            answer = self.do(case, {"noSuchFieldHere": 1}, record["id"])
            self.check(answer.status == 400, f"{case['name']} with a body that means nothing: {answer}")
        for case in self.cases(entity, "assign"):
            self.assigning(case, self.records[entity][record["id"]])
        for case in self.cases(entity, "increment"):
            self.incrementing(case, self.records[entity][record["id"]])

    def again(self, remembered):
        """What was there before is there now, whatever a newer version added as defaults."""
        if not self.describe():
            return
        for entity, records in remembered.items():
            if entity not in self.meant["entities"]:
                continue
            for record in records.values():
                now = self.found(entity, record["id"])
                if now is ABSENT:
                    continue
                kept = self.meant["storage"] != "Memory"
                self.check((now is not None and same_record(now, record)) if kept else now is None,
                           f"{entity} {record['id']} after the restart: {json.dumps(now)[:300]} instead of {json.dumps(record)[:300]}")


def main():
    if len(sys.argv) != 5 or sys.argv[1] not in ("use", "again"):
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[2], encoding="utf-8") as file:
        meant = reading.read(json.load(file))
    with open(sys.argv[3], encoding="utf-8") as file:
        ready = json.load(file)
    wrongs = Wrongs()
    state = {}
    if sys.argv[1] == "again":
        with open(sys.argv[4], encoding="utf-8") as file:
            state = json.load(file)
    said = {reading.base(service["name"]): service for service in ready["services"]}
    wrongs.check(set(said) == {reading.base(service["name"]) for service in meant["services"]}, f"up serves {sorted(said)}")
    for service in meant["services"]:
        name = reading.base(service["name"])
        if name not in said:
            continue
        outsider = Outsider(Service(said[name], ready["token"], service), wrongs)
        if service["auth"]:
            wrongs.check(isinstance(ready["token"], str) and ready["token"].count(".") == 2, "up gives no token")
        try:
            if sys.argv[1] == "use":
                outsider.use()
                state[name] = outsider.records
            else:
                outsider.again(state.get(name, {}))
        except (OSError, http.client.HTTPException) as problem:
            wrongs.check(False, f"{service['name']}: {type(problem).__name__}: {problem}")
    if sys.argv[1] == "use":
        with open(sys.argv[4], "w", encoding="utf-8") as file:
            json.dump(state, file)
    for line in wrongs.lines[:40]:
        print(f"wrong: {line}")
    print(f"{wrongs.checks} checks, {len(wrongs.lines)} wrong")
    return 1 if wrongs.lines or wrongs.checks == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
