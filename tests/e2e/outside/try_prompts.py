#!/usr/bin/env python3
"""try_prompts.py PROGRAM: from words to a running app: prompts, questions and their answers, the next version, rollback, and why."""
import concurrent.futures
import json
import os
import pathlib
import shutil
import sys
import tempfile

from journey import PERSON_WAITED_FOR, Failed, Journey

# Prompt, and what the outsider may count on: service -> use cases. All go from words to `up`.
TO_UP = [
    ("Build a NotificationService with MongoDB and JWT auth",
     {"notification": ["SendNotification", "GetNotification", "ListNotifications", "MarkNotificationAsRead"]}),
    ("todos with title, due date, priority low|normal|high", {"todo": ["CreateTodo", "ListTodos"]}),
    ("A book has a title (required), isbn, pages between 1 and 5000, price at least 0, available yes/no default yes, author email",
     {"book": ["CreateBook", "UpdateBook"]}),
    ("Product service with products (name, price, stock) in memory", {"product": ["CreateProduct"]}),
    ("UserService with email (required email), age between 18 and 120 and role admin|member (default member), JWT RS256", {"user": ["CreateUser"]}),
    ("Create a blog with posts and comments. Posts have a title and a body; a post has many comments.", {"blog": ["CreatePost", "CreateComment"]}),
    ("Booking service with JWT ES256", {"booking": ["CreateBooking"]}),
    ("Build a CaféService in memory", {"cafe": ["CreateCafe"]}),
]
AT_NIGHT = [
    ("Ticket service. A ticket has a status one of open, in progress, done (default open), required title up to 120 characters.", {"ticket": ["CreateTicket"]}),
    ("a pet service where a pet has a name, birth date, weight, is vaccinated and owner email", {"pet": ["CreatePet"]}),
    ("I need a 🚀 todo app 🎉", {"todo": ["CreateTodo"]}),
    ("Build a GrößenService", {"groessen": []}),
    ("todo\tapp\r\n\twith\r\ntitle", {"todo": ["CreateTodo"]}),
    ("UserService and OrderService with MongoDB and JWT", {"user": ["CreateUser"], "order": ["CreateOrder"]}),
    ("Build a habit tracker with streaks", {"habit": ["CreateHabit", "CreateStreak"]}),
    ("Fitness log: workouts with type (run, swim, bike), duration in minutes, distance in km and date", {"fitness-log": ["CreateWorkout"]}),
    ("Job board: companies post jobs, candidates apply", {"job-board": ["PostJob", "GetJob", "CreateCompany"]}),
    ("A parking lot service: spots can be reserved and released", {"parking-lot": ["ReserveParkingSpot", "ReleaseParkingSpot", "CreateParkingSpot"]}),
    ("Time tracking for freelancers: projects, clients, time entries with hours and billable flag", {"time": ["CreateProject", "CreateClient", "CreateTimeEntry"]}),
    ("Library app: books with title and author, members, loans of books to members; a loan has a due date and can be returned",
     {"library": ["CreateBook", "CreateMember", "CreateLoan", "ReturnLoan"]}),
    ("Food delivery: restaurants, menu items with price, orders with status pending/preparing/delivered",
     {"food-delivery": ["CreateRestaurant", "CreateMenuItem", "CreateOrder"]}),
    ("Simple invoicing: clients, invoices with number, date, total and status draft|sent|paid; send an invoice, pay an invoice",
     {"invoicing": ["SendInvoice", "PayInvoice", "CreateInvoice"]}),
    ("Build a REST API for a zoo with animals, keepers and enclosures, each animal belongs to an enclosure",
     {"zoo": ["CreateAnimal", "CreateKeeper", "CreateEnclosure"]}),
    ("Create an application to manage a vet clinic: owners (name, phone), pets (name, species dog|cat|other, birth date, owner), visits (pet, date, notes)",
     {"owner": ["CreateOwner", "CreatePet", "CreateVisit"]}),
]
# Prompt, the exact question, what is answered.
QUESTIONS = [
    ("Todo app with PostgreSQL", "storage", "PostgreSQL cannot be built yet; MongoDB, File or Memory?", ["File"]),
    ("make it nice", "prompt", None, ["a todo app"]),
    ("Todo app where users can frobnicate todos", None, None, None),
    ("Booking service with OAuth2", "auth", None, ["JWT"]),
    ("Todo app with MySQL and a React frontend", None, None, ["File", "leave it out"]),
]
FIRST = {
    "name": "library", "storage": "File", "auth": "JWT",
    "services": [{"name": "Library", "entities": [{"name": "Book", "fields": ["title: string required", "pages: integer min 1"]}],
                  "use_cases": ["CreateBook", "GetBook", "ListBooks"]}],
}


def squeezed(name):
    return "".join(part for part in name.lower() if part.isalnum())


def understood(journey, result):
    """The normalised blueprint, as the journal has it."""
    found = [line["payload"]["blueprint"] for line in journey.do("journal", "show", "--json").lines()
             if line.get("type") == "StrategicBlueprintGenerated" and isinstance(line.get("payload"), dict) and "blueprint" in line["payload"]]
    if not found:
        raise Failed(f"the journal has no blueprint for {result}")
    return found[-1]


def to_up(program, folder, prompt, wanted):
    journey = Journey(program, folder / "workspace")
    try:
        result = journey.gen(prompt)
        if result["state"] != "draft":
            raise Failed(f"state {result['state']}")
        blueprint = understood(journey, result)
        modules = {service["slug"]: [case["name"] for case in service["use_cases"]] for service in blueprint["services"]}
        for service, cases in wanted.items():
            if service not in modules or not set(cases) <= set(modules[service]):
                raise Failed(f"{service} with {cases} was asked for, there is {modules}")
        journey.promoted()
        (folder / "blueprint.json").write_text(json.dumps(blueprint))
        return journey.used_and_restarted(folder / "blueprint.json")
    finally:
        journey.leave()


def asked(program, folder, prompt, field, question, answers):
    journey = Journey(program, folder / "workspace")
    try:
        result = journey.gen(prompt, code=PERSON_WAITED_FOR)
        again = journey.ask("gen", prompt, timeout_s=30)
        if again.code != PERSON_WAITED_FOR:
            raise Failed(f"the same gen again has to ask the same: {again}")
        text = again.out + again.err
        if question is not None and question not in text:
            raise Failed(f"'{question}' was to be asked: {again}")
        if answers is None:
            journey.do("cancel")
            return "asked and cancelled"
        for number, answer in enumerate(answers):
            items = json.loads(journey.do("inbox", "--json").out)["items"]
            if len(items) != 1 or items[0]["item"] not in text + json.dumps(result) and number == 0:
                raise Failed(f"one item was expected: {items}")
            if field is not None and items[0]["field"] != field:
                raise Failed(f"the question is about {items[0]['field']}, not {field}")
            journey.do("answer", items[0]["item"], answer)
            done = journey.ask("gen", "--json", prompt)
            if number < len(answers) - 1 and done.code != PERSON_WAITED_FOR:
                raise Failed(f"a second question was expected: {done}")
        builds = json.loads(journey.do("status", "--json").out)
        journey.do("review")
        journey.do("accept")
        journey.do("promote")
        return f"{len(answers)} answered, {builds['app'] if isinstance(builds.get('app'), str) else 'promoted'}"
    finally:
        journey.leave()


def next_version(program, folder):
    """Version 2 from an edited blueprint; data of version 1 survives it and the rollback; why tells where things come from."""
    journey = Journey(program, folder / "workspace")
    blueprint = folder / "blueprint.json"
    try:
        blueprint.write_text(json.dumps(FIRST))
        first = journey.gen("--blueprint", str(blueprint))
        one = journey.promoted()
        journey.up()
        journey.client("use", blueprint)
        journey.down()
        old = blueprint.read_text()
        second = json.loads(old)
        second["services"][0]["entities"][0]["fields"].append("isbn: string")
        second["services"][0]["use_cases"].append("DeleteBook")
        edited = folder / "edited.json"
        edited.write_text(json.dumps(second))
        result = journey.gen("--blueprint", str(edited))
        if result["app_id"] != first["app_id"] or result["build_id"] == first["build_id"] or result["version"] == first["version"]:
            raise Failed(f"a next version was expected: {first} then {result}")
        two = journey.promoted()
        if two["version"] == one["version"] or two["sha256"] == one["sha256"]:
            raise Failed(f"another version was expected: {one} then {two}")
        journey.up()
        journey.client("again", edited)
        used = journey.client("use", folder / "edited-use.json", "second.json") if (folder / "edited-use.json").exists() else ""
        journey.down()
        why_knows(journey, str(edited))
        journey.do("rollback")
        journey.up()
        journey.client("again", blueprint)
        journey.down()
        lineage = journey.do("artifact", "list").out + journey.do("build", "list").out
        if first["build_id"] not in lineage or result["build_id"] not in lineage:
            raise Failed(f"both builds belong to the lineage: {lineage}")
        return f"version {one['version']} to {two['version']} and back {used}"
    finally:
        journey.leave()


def why_knows(journey, _):
    app = journey.folder / "app"
    files = sorted(path.relative_to(journey.folder) for path in app.rglob("*") if path.is_file())
    wanted = [path for path in files if path.name in ("auth.js", "openapi.json", "app.json") or path.parent.name in ("handlers", "repositories", "test")]
    if len(wanted) < 6:
        raise Failed(f"app/ has only {files[:40]}")
    for path in wanted[:10]:
        done = journey.do("why", f"{path}:1")
        text = done.out.lower()
        for word in ("blueprint", "task", "agent", "test", "accept", "promot"):
            if word not in text:
                raise Failed(f"why {path}:1 says nothing of '{word}': {done}")
    journey.do("serve", "--stop")
    offline = journey.do("why", f"{wanted[0]}:1")
    if "accept" not in offline.out.lower():
        raise Failed(f"offline: {offline}")


def run(title, function, *arguments):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mw-prompts-"))
    try:
        said = function(arguments[0], folder, *arguments[1:])
        return f"ok {title}: {said}", True
    except (Failed, KeyError, ValueError, TypeError, IndexError) as problem:
        return f"not ok {title}\n{type(problem).__name__}: {str(problem)[-4000:]}", False
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    program = str(pathlib.Path(sys.argv[1]).resolve())
    jobs = [("the next version keeps the data, so does the way back, and why knows every line", next_version, program)]
    jobs += [(f"'{prompt[:60]}' is asked about and goes on".replace("\n", " "), asked, program, prompt, *rest) for prompt, *rest in QUESTIONS]
    jobs += [(f"'{' '.join(prompt[:60].split())}' becomes a running app", to_up, program, prompt, wanted)
             for prompt, wanted in TO_UP + (AT_NIGHT if os.environ.get("MW_NIGHT") else [])]
    only = sys.argv[2] if len(sys.argv) > 2 else ""
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for line, fine in pool.map(lambda job: run(*job), [job for job in jobs if only in job[0]]):
            failed += not fine
            print(line, flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
