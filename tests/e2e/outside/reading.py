"""What a blueprint file says, read from docs/blueprint.md and docs/understanding.md alone.

read(written) gives {"services": [{"name", "storage", "auth", "entities": {NAME: {FIELD: {...}}}, "use_cases": [...]}]}; names are as the
service that comes out writes them. Only what says its types and effects is read here: tables of nouns are the product's own knowledge.
"""
import re

ACCENTS = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "é": "e", "è": "e", "ñ": "n", "ç": "c", "å": "a", "ø": "o", "î": "i", "ï": "i", "ó": "o"}
TYPES = {
    "string": "string", "text": "string", "str": "string",
    "integer": "integer", "int": "integer",
    "number": "number", "float": "number", "decimal": "number",
    "boolean": "boolean", "bool": "boolean",
    "date": "date", "datetime": "date",
    "email": "email",
    "enum": "enum", "choice": "enum",
    "reference": "reference", "ref": "reference",
}
VERBS = {"create": "create", "add": "create", "get": "read", "list": "list", "update": "update", "delete": "delete", "remove": "delete"}


class Unreadable(Exception):
    pass


def words(name):
    text = "".join(ACCENTS.get(letter, ACCENTS.get(letter.lower(), letter).capitalize() if letter.lower() in ACCENTS else letter)
                   for letter in name)
    text = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", text)
    text = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1 \2", text)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", text) if word]


def pascal(name):
    return name if re.fullmatch(r"[A-Z][A-Za-z0-9]*", name) else "".join(word.capitalize() for word in words(name))


def camel(name):
    if re.fullmatch(r"[a-z][A-Za-z0-9]*", name):
        return name
    first, *rest = words(name)
    return first + "".join(word.capitalize() for word in rest)


def same(left, right):
    return "".join(words(left)) == "".join(words(right))


def squeezed(key):
    return key.replace("_", "").replace("-", "").lower()


def keys(written):
    return {squeezed(key): value for key, value in written.items()}


def one_of(known, *names):
    for name in names:
        if known.get(name) is not None:
            return known[name]
    return None


def number(text):
    return float(text) if "." in text else int(text)


def field_phrase(text, field):
    """ "integer required min 1 max 5 default 3" and the like, after the name."""
    rest = text.strip()
    found = re.search(r"\(?\bdefault ([^)]+)\)?$", rest)
    default = None
    if found:
        default, rest = found.group(1).strip(), rest[:found.start()].strip()
    for pattern, key in ((r"\bmin (-?[\d.]+)", "min"), (r"\bmax (-?[\d.]+)", "max"), (r"\bat least (-?[\d.]+)", "min"),
                         (r"\bat most (-?[\d.]+)", "max")):
        found = re.search(pattern, rest)
        if found:
            field[key] = number(found.group(1))
            rest = (rest[:found.start()] + rest[found.end():]).strip()
    if re.search(r"\(?\brequired\b\)?", rest):
        field["required"] = True
        rest = re.sub(r"\(?\brequired\b\)?", "", rest).strip()
    if "|" in rest:
        field["type"], field["values"] = "enum", [value.strip() for value in rest.split("|")]
    elif rest:
        kind, *more = rest.split()
        if kind not in TYPES:
            raise Unreadable(f"the type in '{text}'")
        field["type"] = TYPES[kind]
        if field["type"] == "reference" and more:
            field["entity"] = more[0]
    if default is not None:
        kind = field["type"]
        field["default"] = number(default) if kind in ("integer", "number") else default in ("true", "yes") if kind == "boolean" else default


def read_field(name, written):
    if isinstance(written, str) and name is None:
        name, _, written = written.partition(":")
        name = name.strip()
    field = {"required": False}
    if isinstance(written, str):
        field_phrase(written, field)
    else:
        known = keys(written)
        name = known.get("name", name)
        if one_of(known, "values", "enum", "options", "choices") is not None:
            field["type"], field["values"] = "enum", one_of(known, "values", "enum", "options", "choices")
        if one_of(known, "entity", "ref", "references", "reference", "target") is not None:
            field["type"], field["entity"] = "reference", one_of(known, "entity", "ref", "references", "reference", "target")
        if known.get("type") is not None:
            field_phrase(known["type"], field)
        field["required"] = known.get("required", field["required"]) is True
        for key, spellings in (("min", ("min", "minlength", "minimum")), ("max", ("max", "maxlength", "maximum")), ("default", ("default",))):
            if one_of(known, *spellings) is not None:
                field[key] = one_of(known, *spellings)
    if "type" not in field:
        raise Unreadable(f"the type of '{name}'")
    if field["type"] == "reference":
        field.setdefault("entity", name)
    return camel(name), field


def read_fields(written):
    pairs = written.items() if isinstance(written, dict) else ((None, field) for field in written)
    return dict(read_field(name, field) for name, field in pairs)


def read_entities(written):
    entities = {}
    pairs = written.items() if isinstance(written, dict) else ((None, entity) for entity in written)
    for name, entity in pairs:
        fields = entity
        if isinstance(entity, dict):
            known = keys(entity)
            listed = one_of(known, "fields", "properties", "attributes")
            if name is None or isinstance(listed, (list, dict)):
                name, fields = known.get("name", name), listed
        if name is None or fields is None:
            raise Unreadable("the fields of an entity")
        entities[pascal(name)] = read_fields(fields)
    for fields in entities.values():
        for field in fields.values():
            if field["type"] == "reference":
                field["entity"] = next(name for name in entities if same(name, field["entity"]))
    return entities


def own_field(fields, name):
    return next(field for field in fields if same(field, name))


def spoken_of(entities, name):
    spoken = [entity for entity in entities if "".join(words(entity)) in "".join(words(name))]
    if not spoken and len(entities) == 1:
        spoken = list(entities)
    if not spoken:
        for entity in entities:  # stories, classes, …
            if "".join(words(entity))[:-1] in "".join(words(name)):
                spoken.append(entity)
    if not spoken:
        raise Unreadable(f"which record '{name}' is about")
    return max(spoken, key=len)


def read_use_case(name, written, entities):
    known = keys(written) if isinstance(written, dict) else {"name": written if name is None else name}
    name = known.get("name", name)
    entity = next(e for e in entities if same(e, known["entity"])) if known.get("entity") else spoken_of(entities, name)
    fields = entities[entity]
    case = {"name": pascal(name), "entity": entity}
    changed = one_of(known, "set", "sets")
    if changed is not None:
        case.update(effect="set", set={own_field(fields, field): value for field, value in changed.items()})
    elif known.get("fields") is not None:
        case.update(effect="assign", fields=[own_field(fields, field) for field in known["fields"]])
    elif known.get("field") is not None:
        case.update(effect="increment", field=own_field(fields, known["field"]), by=known.get("by", 1))
    else:
        effect = one_of(known, "effect", "does") or VERBS.get(words(name)[0])
        if effect is None:
            raise Unreadable(f"what '{name}' does")
        case["effect"] = effect
    return case


def read_auth(known, inherited):
    for key in ("auth", "authentication"):
        if key in known:
            written = known[key]
            if not written:
                return None
            return written.get("algorithm", "HS256") if isinstance(written, dict) and written.get("algorithm") else "HS256"
    return inherited


def read_service(name, known, top):
    entities = read_entities(known["entities"])
    listed = one_of(known, "usecases", "capabilities")
    pairs = listed.items() if isinstance(listed, dict) else ((None, case) for case in listed)
    storage = one_of(known, "storage", "database") or one_of(top, "storage", "database")
    return {
        "name": name,
        "storage": {"mongodb": "MongoDB", "file": "File", "memory": "Memory"}[storage.lower()],
        "auth": read_auth(known, read_auth(top, None)),
        "entities": entities,
        "use_cases": [read_use_case(case_name, case, entities) for case_name, case in pairs],
    }


def read(written):
    top = keys(written)
    listed = one_of(top, "services", "modules")
    if listed is None:
        return {"services": [read_service(one_of(top, "servicename", "name"), top, top)]}
    pairs = listed.items() if isinstance(listed, dict) else ((None, service) for service in listed)
    services = []
    for name, service in pairs:
        known = keys(service)
        services.append(read_service(one_of(known, "name", "servicename") or name, known, top))
    return {"services": services}


def base(name):
    """The service's name without 'Service', however it is written."""
    parts = words(name)
    if len(parts) > 1 and parts[-1] == "service":
        parts = parts[:-1]
    return "".join(parts)
