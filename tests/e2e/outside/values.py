"""Values for a field of a blueprint: those that must be taken and those that must be refused, by docs/generated-app.md."""

STRING_MAX = 10000
INTEGER_MAX = 2 ** 53


def bounds(field):
    kind = field["type"]
    if kind == "string":
        return field.get("min", 1 if field["required"] else 0), field.get("max", STRING_MAX)
    return field.get("min"), field.get("max")


def within(field, value):
    low, high = bounds(field)
    return (low is None or value >= low) and (high is None or value <= high)


def a_number(field):
    low, high = bounds(field)
    if low is None and high is None:
        return 7
    if low is None:
        return high - 1
    if high is None:
        return low + 1
    middle = (low + high) / 2
    if field["type"] == "number":
        return middle
    whole = int(middle // 1)
    return whole if whole >= low else whole + 1


def an_address(length):
    return ("a" * (length - len("@example.org"))) + "@example.org"


def accepted(field):
    """Plain first, then the edges."""
    kind = field["type"]
    low, high = bounds(field)
    if kind == "string":
        lengths = sorted({max(low, min(high, 5)), low, high})
        plain = max(low, min(high, 5))
        return ["x" * plain] + [("\U0001f511" if length == high else "é") * length for length in lengths if length != plain or length == high]
    if kind in ("integer", "number"):
        edges = [edge for edge in (low, high) if edge is not None]
        if kind == "integer":
            edges = [int(edge) for edge in edges if float(edge).is_integer()]
            if low is None:
                edges.append(-INTEGER_MAX)
            if high is None:
                edges.append(INTEGER_MAX)
        return [a_number(field)] + edges + [whole for whole in (0, -1, 1) if within(field, whole)]
    if kind == "boolean":
        return [True, False]
    if kind == "date":
        return ["2024-02-29", "1999-12-31T23:59:59Z", "2026-01-01T00:00:00.123+02:00"]
    if kind == "email":
        return ["ada@example.org", an_address(254), "a+b.c@sub.example.co"]
    if kind == "enum":
        return list(field["values"])
    raise ValueError(kind)


def refused(field):
    kind = field["type"]
    low, high = bounds(field)
    if kind == "string":
        wrong = [7, True, [], {}, "x" * (high + 1), "\U0001f511" * (high + 1)]
        if low > 0:
            wrong.append("x" * (low - 1))
        return wrong
    if kind in ("integer", "number"):
        wrong = ["7", True, [], {}]
        step = 1 if kind == "integer" else 0.001
        if low is not None:
            wrong.append(low - step)
        if high is not None:
            wrong.append(high + step)
        if kind == "integer":
            wrong.append(a_number(field) + 0.5)
            wrong += [INTEGER_MAX + 2] if high is None else []
            wrong += [-INTEGER_MAX - 2] if low is None else []
        return wrong
    if kind == "boolean":
        return ["true", 1, 0, "", []]
    if kind == "date":
        return ["2023-02-29", "2023-13-01", "2023-00-10", "2023-1-1", "today", 20230101, "", "2023-01-01T25:00:00Z", "2023-01-01T10:00:00", " 2023-01-01"]
    if kind == "email":
        return ["ada", "ada@", "@example.org", "a@b@example.org", "a b@example.org", "ada@example", 7, "", an_address(255)]
    if kind == "enum":
        values = field["values"]
        wrong = [7, None.__class__.__name__, "", values[0] + " ", True, values[0].swapcase()]
        return [value for value in wrong if value not in values]
    if kind == "reference":
        return [7, "", True, {}]
    raise ValueError(kind)
