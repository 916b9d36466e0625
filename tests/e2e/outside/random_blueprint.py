#!/usr/bin/env python3
"""A blueprint nobody thought of: random_blueprint.py SEED FOLDER [--small]

Writes FOLDER/blueprint.json (in a random spelling of docs/understanding.md), for some seeds also FOLDER/blueprint.yaml with the same content,
and FOLDER/meant.json, what it means. The same seed gives the same bytes.

random_blueprint.py --invalid FOLDER     files that must give a question or a refusal, and FOLDER/expected.json: name -> "question"|"refusal"
"""
import json
import os
import random
import sys

ENTITIES = ["Note", "Class", "Default", "Delete", "Function", "Überweisung", "Promise", "Map", "Item2", "Record", "Error", "Story", "Box",
            "Person", "Return", "Config", "Log", "Page", "Entity", "Object", "Café", "News", "AVeryLongNameOfARecordThatSomebodyOnceThoughtUp",
            "HTTPRequest", "Ölprobe", "Repository", "String", "Boolean", "Await", "X", "Data", "Series", "Handler", "Index"]
SERVICES = ["Stock", "class", "OrdersService", "Über-Lager", "notes-service", "Default", "test", "src", "Node", "ServiceDesk", "A1",
            "HealthService", "internal tools", "Shop", "ready", "Öl", "TheServiceWithTheLongestNameInTheWholeBlueprintOfAll", "app", "Config"]
FIELDS = ["class", "delete", "default", "new", "function", "return", "import", "export", "await", "let", "var", "this", "null", "true", "typeof",
          "arguments", "eval", "static", "package", "name", "length", "keys", "values", "items", "total", "limit", "offset", "error", "body",
          "status", "code", "find", "create", "update", "get", "set", "size", "type", "entity", "handle", "x", "x2", "title", "note", "message",
          "field", "fields", "größe", "naïve", "aVeryLongNameOfAFieldThatGoesOnAndOnUntilSixtyLetters", "HTTPCode", "due_date", "in", "is",
          "owner", "user", "sub", "token", "record", "undefined", "NaN", "symbol", "async", "of", "yield", "enum", "interface", "kebab-name"]
WORDS = ["open", "in progress", "done", "Größe L", "日本", "null", "true", "a-b", "low", "high", "x\"y", "it's", "<b>", "{{x}}", "a/b", "\\n",
         "ünï", "🙂", "50%", "$1", "`", "${x}", "Low", "1"]
VERBS = {"create": ["Create", "Add"], "read": ["Get"], "list": ["List"], "update": ["Update"], "delete": ["Delete", "Remove"]}
REGULAR = ["Note", "Page", "Log", "Record", "Function"]
SYNONYMS = {"string": ["string", "text", "str"], "integer": ["integer", "int"], "number": ["number", "float", "decimal"],
            "boolean": ["boolean", "bool"], "date": ["date", "datetime"], "email": ["email"], "enum": ["enum", "choice"],
            "reference": ["reference", "ref"]}
ACCENTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue", "ß": "ss", "é": "e", "ï": "i"})


class Maker:
    def __init__(self, seed, small=False):
        self.random = random.Random(seed)
        self.small = small

    def chance(self, of_hundred):
        return self.random.randrange(100) < of_hundred

    def pick(self, choices):
        return self.random.choice(choices)

    # --- what is meant ---

    def bound(self, kind):
        whole = self.random.randint(-1000, 1000)
        return whole if kind == "integer" or self.chance(50) else whole + self.pick([0.5, 0.25, 0.1])

    def text(self, low, high):
        return "".join(self.pick("abc déß日🙂\"'<&{}\\$`") for _ in range(max(low, min(high, 6)))).strip().ljust(low, "x")

    def field(self, earlier):
        kind = self.pick(["string"] * 3 + ["integer", "number", "boolean", "date", "email", "enum"] + (["reference"] if earlier else []))
        field = {"type": kind, "required": self.chance(45)}
        if kind == "string" and self.chance(60):
            field["min"] = self.random.randint(0, 4)
            field["max"] = field["min"] + self.random.randint(1, 300)
            if field["required"]:
                field["min"] = max(field["min"], 1)
        if kind in ("integer", "number"):
            low, high = sorted((self.bound(kind), self.bound(kind)))
            if self.chance(60):
                field["min"] = low
            if self.chance(60):
                field["max"] = high + 5
        if kind == "enum":
            field["values"] = self.random.sample(WORDS, self.random.randint(1, 5))
        if kind == "reference":
            field["entity"] = self.pick(earlier)
        if self.chance(35):
            self.give_default(field)
        return field

    def give_default(self, field):
        kind = field["type"]
        if kind == "string":
            low = field.get("min", 1 if field["required"] else 0)
            field["default"] = self.text(max(low, 1), field.get("max", 20))
        elif kind in ("integer", "number"):
            low = field.get("min", field.get("max", 0) - 3)
            value = self.pick([low, field.get("max", low + 3)])
            field["default"] = value if kind == "number" else int(-(-value // 1)) if value == low else int(value // 1)
        elif kind == "boolean":
            field["default"] = self.chance(50)
        elif kind == "enum":
            field["default"] = self.pick(field["values"])
        elif kind == "date":
            field["default"] = "2026-02-28"
        elif kind == "email":
            field["default"] = "default@example.org"

    def entity(self, earlier, itself):
        names = self.random.sample(FIELDS, self.random.randint(1, 4 if self.small else 7))
        fields = {name: self.field(earlier) for name in names}
        if self.chance(20):
            fields["parent"] = {"type": "reference", "required": False, "entity": itself}
        return fields

    def use_cases(self, entity, fields):
        effects = [effect for effect in ("create", "read", "list", "update", "delete") if self.chance(75)]
        if self.chance(85) and "create" not in effects:
            effects.insert(0, "create")
        if not effects:
            effects = ["list"]
        stem = "".join(part.capitalize() if part.islower() else part for part in entity.translate(ACCENTS).split())
        cases = []
        for effect in effects:
            plural = stem + "s" if effect == "list" else stem
            cases.append({"name": self.pick(VERBS[effect]) + plural, "entity": entity, "effect": effect})
        numbers = [name for name, field in fields.items() if field["type"] in ("integer", "number")]
        settable = [name for name, field in fields.items() if field["type"] in ("boolean", "enum", "integer")]
        if settable and self.chance(60):
            chosen = self.random.sample(settable, self.random.randint(1, min(2, len(settable))))
            cases.append({"name": f"Mark{stem}AsRead", "entity": entity, "effect": "set", "set": {name: self.fixed(fields[name]) for name in chosen}})
        if self.chance(50):
            chosen = self.random.sample(list(fields), self.random.randint(1, min(2, len(fields))))
            cases.append({"name": f"Assign{stem}", "entity": entity, "effect": "assign", "fields": chosen})
        if numbers and self.chance(70):
            name = self.pick(numbers)
            room = fields[name].get("max", 1e9) - fields[name].get("min", -1e9)
            by = self.pick([1, 2, -1, -3, 10]) if fields[name]["type"] == "integer" else self.pick([1, 0.5, -0.25, 2.5])
            if abs(by) <= room:  # else it is refused, which --invalid tries
                cases.append({"name": f"Count{stem}", "entity": entity, "effect": "increment", "field": name, "by": by})
        for case in cases[5:]:
            if self.chance(30):
                case["action"] = f"do-{len(case['name'])}-{case['effect']}"
        return cases

    def fixed(self, field):
        if field["type"] == "boolean":
            return self.chance(50)
        if field["type"] == "enum":
            return self.pick(field["values"])
        low = field.get("min", field.get("max", 5) - 1)
        return int(-(-low // 1))

    def blueprint(self):
        services = []
        for name in self.random.sample(SERVICES, self.pick([1, 1, 1, 2] if self.small else [1, 1, 2, 3])):
            entities, cases = {}, []
            for entity in self.random.sample(ENTITIES, self.random.randint(1, 2 if self.small else 3)):
                entities[entity] = self.entity(list(entities), entity)
                cases += self.use_cases(entity, entities[entity])
            # A reference that must be given to a record that nobody can make would be satisfied by any text: that is fine, too.
            services.append({"name": name, "entities": entities, "use_cases": cases})
        return {
            "name": self.pick(["Mein Laden", "app", "Ärger & Co", "constructor", "Shop 24", "x", "The Default"]),
            "storage": self.pick(["MongoDB", "File", "File", "Memory"]),
            "auth": self.pick([None, "HS256", "HS256", "RS256", "ES256"]),
            "services": services,
        }

    # --- how it is written ---

    def key(self, *spellings):
        return self.pick(spellings)

    def written_field(self, name, field, own_key):
        phrase = self.phrase(field)
        if phrase is not None and self.chance(40):
            return phrase if own_key else f"{name}: {phrase}"
        out = {} if own_key else {"name": name}
        implied = field["type"] in ("enum", "reference") and self.chance(50)
        if not implied:
            out["type"] = self.pick(SYNONYMS[field["type"]])
        if field["required"] or self.chance(50):
            out["required"] = field["required"]
        for key, spellings in (("min", ("min", "minLength", "minimum", "min_length")), ("max", ("max", "maxLength", "maximum")),
                               ("values", ("values", "enum", "options", "choices")), ("entity", ("entity", "ref", "references", "target"))):
            if key in field:
                out[self.pick(spellings)] = field[key]
        if "default" in field:
            out["default"] = field["default"]
        return out

    def phrase(self, field):
        if set(field) - {"type", "required", "min", "max"} or field["type"] in ("enum", "reference"):
            return None
        out = self.pick(SYNONYMS[field["type"]])
        if field["type"] == "string" and "min" in field:
            return None
        for key in ("min", "max"):
            if key in field:
                if not isinstance(field[key], int) or field[key] < 0:
                    return None
                out += f" {key} {field[key]}"
        return out + (" required" if field["required"] else "")

    def written_fields(self, fields):
        if self.chance(50):
            return {name: self.written_field(name, field, True) for name, field in fields.items()}
        return [self.written_field(name, field, False) for name, field in fields.items()]

    def written_entities(self, entities):
        if self.chance(50):
            # A map whose fields are named like an entity's own keys has to say which of the two it is.
            return {name: {self.key("fields", "properties", "attributes"): self.written_fields(fields)}
                    if self.chance(50) or {"fields", "properties", "attributes", "plural"} & set(fields) else self.written_fields(fields)
                    for name, fields in entities.items()}
        return [{"name": name, "fields": self.written_fields(fields)} for name, fields in entities.items()]

    def written_case(self, case, alone):
        if alone and case["effect"] in VERBS and self.chance(50):
            return case["name"]
        out = dict(case)
        if "set" in out and self.chance(50):
            del out["effect"]
        elif out["effect"] in ("assign", "increment") and self.chance(50):
            del out["effect"]
        if out.get("by") == 1 and self.chance(50):
            del out["by"]
        return out

    def written_service(self, service, storage, auth, inside):
        alone = len(service["entities"]) == 1 and next(iter(service["entities"])) in REGULAR
        cases = [self.written_case(case, alone) for case in service["use_cases"]]
        if all(isinstance(case, dict) for case in cases) and self.chance(25):
            cases = {case["name"]: {key: value for key, value in case.items() if key != "name"} for case in cases}
        out = {self.key("entities"): self.written_entities(service["entities"]),
               self.key("useCases", "use_cases", "use-cases", "capabilities"): cases}
        if inside:
            out[self.key("storage", "database")] = storage
            self.write_auth(out, auth)
        return out

    def write_auth(self, out, auth):
        key = self.key("auth", "authentication")
        if auth is None:
            choice = self.pick(["absent", False, None])
            if choice != "absent":
                out[key] = choice
        elif auth == "HS256" and self.chance(60):
            out[key] = self.pick(["JWT", True, {"strategy": "JWT"}, {"strategy": "JWT", "provider": None}])
        else:
            out[key] = {"strategy": "JWT", "algorithm": auth}

    def written(self, meant):
        inside = self.chance(30)
        services = [(service["name"], self.written_service(service, meant["storage"], meant["auth"], inside)) for service in meant["services"]]
        out = {}
        if len(services) == 1 and self.chance(25):
            out[self.key("serviceName", "name")] = services[0][0]
            out.update(services[0][1])
            if not inside:
                out["storage"] = meant["storage"]
                self.write_auth(out, meant["auth"])
            return out
        if self.chance(80):
            out["name"] = meant["name"]
        if not inside:
            out[self.key("storage", "database")] = meant["storage"]
            self.write_auth(out, meant["auth"])
        if self.chance(30):
            out[self.key("services", "modules")] = dict(services)
        else:
            out[self.key("services", "modules")] = [{self.key("name", "serviceName"): name, **service} for name, service in services]
        if self.chance(20):
            out.update({"ci": False, "frontend": {"spa": False, "mobile": False}, "gateway": {"enabled": False}, "infrastructure": None,
                        "auto_deploy": False, "testScope": ["Unit", "Integration"], "features": []})
        return out


def yaml(value, indent=0):
    """Block style with JSON scalars, which YAML reads as they are (but for control characters, of which there are none)."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        return "".join(f"{pad}{json.dumps(key, ensure_ascii=False)}:{yaml_below(item, indent)}" for key, item in value.items())
    return "".join(f"{pad}-{yaml_below(item, indent)}" for item in value)


def yaml_below(item, indent):
    if isinstance(item, (dict, list)) and item:
        return "\n" + yaml(item, indent + 1)
    return f" {json.dumps(item, ensure_ascii=False)}\n"


NOTE = {"name": "Note", "fields": [{"name": "title", "type": "string", "required": True}]}
CREATE = {"name": "CreateNote", "entity": "Note", "effect": "create"}


def one_service(**more):
    service = {"name": "Notes", "storage": "File", "entities": [NOTE], "use_cases": [CREATE]}
    service.update(more)
    return {"name": "n", "services": [{key: value for key, value in service.items() if value is not None}]}


def with_field(**field):
    return one_service(entities=[{"name": "Note", "fields": [{"name": "title", **field}]}])


def with_case(**case):
    return one_service(use_cases=[CREATE, {"entity": "Note", **case}])


INVALID = {
    "no-storage": ("question", one_service(storage=None)),
    "postgres": ("question", one_service(storage="PostgreSQL")),
    "oauth": ("question", {**one_service(), "auth": "OAuth2"}),
    "spa": ("question", {**one_service(), "frontend": {"spa": True}}),
    "ci": ("question", {**one_service(), "ci": True}),
    "gateway": ("question", {**one_service(), "gateway": {"enabled": True}}),
    "feature": ("question", {**one_service(), "features": ["Realtime"]}),
    "unknown-verb": ("question", one_service(use_cases=["CreateNote", "FrobnicateNote"])),
    "unknown-key": ("refusal", {**one_service(), "colour": "red"}),
    "two-spellings": ("refusal", {**one_service(), "useCases": [], "use_cases": []}),
    "no-services": ("refusal", {"name": "n", "storage": "File", "services": []}),
    "only-a-number": ("refusal", {"services": 3, "storage": "File"}),
    "service-twice": ("refusal", {"storage": "File", "services": ["notes", "NotesService"]}),
    "entity-twice": ("refusal", one_service(entities=[NOTE, {**NOTE, "name": "note"}])),
    "field-twice": ("refusal", one_service(entities=[{"name": "Note", "fields": ["dueDate: date", "due_date: date"]}])),
    "case-twice": ("refusal", one_service(use_cases=[CREATE, {**CREATE, "name": "create_note"}])),
    "same-route": ("refusal", one_service(use_cases=[CREATE, {**CREATE, "name": "MakeNote"}])),
    "taken-field": ("refusal", one_service(entities=[{"name": "Note", "fields": ["id: string"]}])),
    "taken-field-2": ("refusal", one_service(entities=[{"name": "Note", "fields": ["constructor: string"]}])),
    "no-name": ("refusal", one_service(name="!!!")),
    "digit-name": ("refusal", one_service(name="123")),
    "long-name": ("refusal", one_service(name="N" * 70)),
    "huge-name": ("refusal", one_service(name="N" * 100000)),
    "unknown-type": ("refusal", with_field(type="blob")),
    "no-values": ("refusal", with_field(type="enum")),
    "empty-values": ("refusal", with_field(type="enum", values=[])),
    "value-twice": ("refusal", with_field(type="enum", values=["a", "a"])),
    "default-not-in-values": ("refusal", with_field(type="enum", values=["a"], default="b")),
    "default-of-another-type": ("refusal", with_field(type="integer", default="seven")),
    "default-below-min": ("refusal", with_field(type="integer", min=5, default=1)),
    "min-above-max": ("refusal", with_field(type="integer", min=5, max=1)),
    "negative-length": ("refusal", with_field(type="string", min=-1)),
    "half-a-letter": ("refusal", with_field(type="string", max=2.5)),
    "date-that-is-none": ("refusal", with_field(type="date", default="2026-02-30")),
    "reference-to-nothing": ("refusal", with_field(type="reference", entity="Nothing")),
    "unknown-effect": ("refusal", with_case(name="ArchiveNote", effect="archive")),
    "set-of-nothing": ("refusal", with_case(name="MarkNote", effect="set", set={"colour": "red"})),
    "set-of-a-wrong-value": ("refusal", with_case(name="MarkNote", effect="set", set={"title": 7})),
    "increment-of-a-text": ("refusal", with_case(name="CountNote", effect="increment", field="title")),
    "increment-without-room": ("refusal", one_service(
        entities=[{"name": "Note", "fields": [{"name": "stars", "type": "integer", "min": 0, "max": 5}]}],
        use_cases=[CREATE, {"name": "CountNote", "entity": "Note", "effect": "increment", "field": "stars", "by": 6}])),
    "assign-of-nothing": ("refusal", with_case(name="AssignNote", effect="assign", fields=[])),
    "case-of-no-entity": ("refusal", with_case(name="CreateThing", entity="Thing", effect="create")),
    "bad-action": ("refusal", with_case(name="MarkNote", effect="set", set={"title": "x"}, action="../x")),
    "bad-slug": ("refusal", one_service(slug="../../etc")),
    "too-many-services": ("refusal", {"storage": "File", "services": [f"s{number}" for number in range(65)]}),
    "bad-algorithm": ("refusal", {**one_service(), "auth": {"strategy": "JWT", "algorithm": "none"}}),
    "wrong-schema": ("refusal", {**one_service(), "schema": 2}),
}
RAW = {
    "empty": b"",
    "not-json": b"{\"services\": [",
    "a-list": b"[1, 2, 3]",
    "a-number": b"7",
    "null": b"null",
    "not-utf8": b"{\"name\": \"\xff\xfe\"}",
    "key-twice": b"{\"name\": \"a\", \"name\": \"b\", \"services\": [\"x\"]}",
    "deep": b"[" * 100000,
    "zeros": b"\0" * 100,
}


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--invalid":
        folder = sys.argv[2]
        for name, (_, content) in INVALID.items():
            with open(os.path.join(folder, f"{name}.json"), "w", encoding="utf-8") as file:
                json.dump(content, file, ensure_ascii=False)
        for name, content in RAW.items():
            with open(os.path.join(folder, f"{name}.json"), "wb") as file:
                file.write(content)
        with open(os.path.join(folder, "expected.txt"), "w", encoding="utf-8") as file:
            file.writelines(f"{name} {kind}\n" for name, (kind, _) in INVALID.items())
            file.writelines(f"{name} refusal\n" for name in RAW)
        return 0
    if len(sys.argv) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    seed, folder = sys.argv[1], sys.argv[2]
    maker = Maker(seed, "--small" in sys.argv)
    meant = maker.blueprint()
    written = maker.written(meant)
    with open(os.path.join(folder, "meant.json"), "w", encoding="utf-8") as file:
        json.dump(meant, file, ensure_ascii=False, indent=1)
    with open(os.path.join(folder, "blueprint.json"), "w", encoding="utf-8") as file:
        json.dump(written, file, ensure_ascii=False, indent=1)
    if maker.chance(25):
        with open(os.path.join(folder, "blueprint.yaml"), "w", encoding="utf-8") as file:
            file.write(yaml(written))
    return 0


if __name__ == "__main__":
    sys.exit(main())
