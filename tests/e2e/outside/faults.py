"""What a generator may do wrong: which skill, which of its files, and what is changed in them."""
import json

BUILTIN = {"DesignPortsAndUseCases": "design"}  # all others: render


class Fault:
    def __init__(self, skill, name, files=None, spoil=None, answer=None):
        self.skill, self.name, self.files, self.spoil, self.answer = skill, name, files, spoil, answer


def replaced(*pairs):
    """Each text that is there is replaced; at least one file of the task has to have it, which the outcome shows."""
    def spoil(text):
        for old, new in pairs:
            text = text.replace(old, new)
        return text
    return spoil


def without_path(text):
    openapi = json.loads(text)
    openapi["paths"].pop(next(path for path in openapi["paths"] if "{id}" in path))
    return json.dumps(openapi)


def without_field(text):
    openapi = json.loads(text)
    for schema in openapi["components"]["schemas"].values():
        schema.get("properties", {}).pop("title", None)
    return json.dumps(openapi)


def without_service(text):
    app = json.loads(text)
    app["services"] = []
    return json.dumps(app)


def first_service(change):
    def answer(payload):
        services = payload.get("services") or payload["design"]["services"]
        change(services[0])
    return answer


def drop_use_case(service):
    service["use_cases"].pop()


def drop_field(service):
    service["entities"][0]["fields"].pop()


def no_auth(service):
    service["auth"] = False
    service["jwt"] = None


def loose_bound(service):
    field = next(field for field in service["entities"][0]["fields"] if field["name"] == "title")
    field["max"] = field["max"] + 1


def other_default(service):
    field = next(field for field in service["entities"][0]["fields"] if "default" in field and field["type"] == "enum")
    field["default"] = field["values"][-1]


HANDLERS = "services/*/src/handlers/*.js"
SOURCE = "services/*/src/"
FAULTS = [
    Fault("GenerateHandler", "handler-emptied", HANDLERS, lambda text: ""),
    Fault("GenerateHandler", "handler-not-written", HANDLERS, lambda text: None),
    Fault("GenerateHandler", "handler-gives-anybodys-record", HANDLERS,
          replaced(("import { findOwn, present } from \"../records.js\";", "import { present } from \"../records.js\";"),
                   ("await findOwn(repositories.todo, id, ownerId)", "await repositories.todo.find(id)"))),
    Fault("GenerateHandler", "handler-lists-everybodys-records", HANDLERS, replaced(("list({ ownerId", "list({ nobody: ownerId"),
                                                                                  ("ownerId)", "undefined)"), ("{ ...page, ownerId }", "{ ...page }"))),
    Fault("GenerateHandler", "handler-answers-another-status", HANDLERS, replaced(("status: 201", "status: 200"))),
    Fault("GenerateHandler", "handler-sets-another-value", HANDLERS, replaced(("done: true", "done: false"))),
    Fault("GenerateHandler", "handler-adds-one-too-many", HANDLERS, replaced(("before + 1", "before + 2"))),
    Fault("GenerateHandler", "handler-is-no-javascript", HANDLERS, lambda text: text + "\n}}}"),
    Fault("ConfigureJWTAuth", "auth-without-signature", f"{SOURCE}auth.js", replaced(("if (!isSigned(", "if (false && !isSigned("))),
    Fault("ConfigureJWTAuth", "auth-takes-any-algorithm", f"{SOURCE}auth.js", replaced(("if (header.alg !== algorithm)", "if (false)"))),
    Fault("ConfigureJWTAuth", "auth-lets-everybody-in", f"{SOURCE}auth.js",
          replaced(("return (authorization) => {", "return (authorization) => {\n    if (authorization === undefined) return \"ada\";"))),
    Fault("GenerateAdapter", "adapter-emptied", "services/*/src/repositories/*.js", lambda text: ""),
    Fault("ScaffoldService", "service-takes-any-choice", f"{SOURCE}validate.js", replaced(("values.includes(value) ?", "true || values.includes(value) ?"))),
    Fault("ScaffoldService", "service-is-off-by-one", f"{SOURCE}validate.js", replaced(("length > max)", "length > max + 1)"))),
    Fault("ScaffoldService", "service-takes-unknown-fields", f"{SOURCE}validate.js", replaced((".filter((name) => !known.has(name))", ".filter(() => false)"))),
    Fault("ScaffoldService", "service-keeps-nothing", f"{SOURCE}storage/open.js", replaced(("file", "memory"))),
    Fault("ScaffoldService", "service-loses-the-newest", f"{SOURCE}storage/file.js", replaced(("await ", "void "))),
    Fault("ScaffoldService", "openapi-without-a-path", "services/*/openapi.json", without_path),
    Fault("ScaffoldService", "openapi-without-a-field", "services/*/openapi.json", without_field),
    Fault("ScaffoldService", "service-json-is-no-json", "services/*/service.json", lambda text: text[:-3]),
    Fault("ScaffoldService", "package-json-is-no-json", "services/*/package.json", lambda text: "{" + text),
    Fault("GenerateTests", "tests-emptied", "services/*/test/*.js", lambda text: ""),
    Fault("GenerateTests", "tests-that-fail", "services/*/test/http.test.js", lambda text: text + "\ntest(\"never\", () => assert.equal(1, 2));\n"),
    Fault("GenerateAppConfig", "config-is-no-json", "config/ai.json", lambda text: text + ","),
    Fault("GenerateAppConfig", "app-without-its-service", "app.json", without_service),
    Fault("GenerateAppConfig", "app-not-written", "app.json", lambda text: None),
    Fault("DesignPortsAndUseCases", "design-without-a-use-case", answer=first_service(drop_use_case)),
    Fault("DesignPortsAndUseCases", "design-without-a-field", answer=first_service(drop_field)),
    Fault("DesignPortsAndUseCases", "design-without-auth", answer=first_service(no_auth)),
    Fault("DesignPortsAndUseCases", "design-with-a-loose-bound", answer=first_service(loose_bound)),
    Fault("DesignPortsAndUseCases", "design-with-another-default", answer=first_service(other_default)),
]
# Found in the attempt itself, so that it is tried again, in the end with another agent.
RECOVERED = {"handler-not-written"}
# What another one of the same kind stands for in the short run.
AT_NIGHT = {"handler-is-no-javascript", "handler-answers-another-status", "auth-takes-any-algorithm", "service-takes-unknown-fields",
            "service-loses-the-newest", "package-json-is-no-json", "app-without-its-service", "design-with-another-default", "harmless-ConfigureJWTAuth",
            "harmless-GenerateAdapter", "harmless-GenerateAppConfig", "harmless-GenerateTests"}
# The wrapper itself does no harm.
HARMLESS = [Fault(skill, f"harmless-{skill}") for skill in sorted({fault.skill for fault in FAULTS})]
BY_NAME = {fault.name: fault for fault in FAULTS + HARMLESS}
