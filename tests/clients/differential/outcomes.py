"""What two answers say of a statement, the kinds that are explained, and the count of all.

    equal            names, types and rows agree; or both fail with SQLSTATEs of one class
    rows, types, names   we answer, and otherwise: wrong without an error
    accepted         we answer where PostgreSQL refuses: wrong without an error, too
    scale            as rows, but only digits of numerics differ: wrong without an error, too
    digits           floating-point numbers that differ behind their fourteenth digit
    refused          we refuse with 0A000 what PostgreSQL answers
    failed           we fail otherwise where PostgreSQL answers
    code             both fail, with SQLSTATEs of two classes
    internal, lost   XX000, or no session any more

A kind of `explained.toml` or `open.toml` is one line of reason for regular expressions over the statement, our answer and PostgreSQL's.
"""

import collections
import math
import pathlib
import re
import tomllib

SILENT = ("rows", "scale", "types", "names", "accepted")
FAULTS = (*SILENT, "internal", "lost")
ORDER = ("equal", "digits", "rows", "scale", "types", "names", "accepted", "refused", "failed", "code", "internal", "lost")
FLOATS = {700: 1e-6, 701: 1e-13, 1021: 1e-6, 1022: 1e-13}
NUMERICS = {**FLOATS, 1700: 1e-6, 1231: 1e-6}
# PostgreSQL's own limits of time, memory and size say nothing of ours.
LIMITS = {"57014", "53200", "54000", "54001"}


def outcome(ours, theirs, order=None):
    """The word of the list above. `order` are the columns by which the rows are sorted; `"all"` means that the order is total."""
    if ours.sqlstate == "LOST":
        return "lost"
    if ours.sqlstate == "XX000":
        return "internal"
    if theirs.failed:
        if theirs.sqlstate in LIMITS or theirs.sqlstate == "LOST":
            return "equal"
        if not ours.failed:
            return "accepted"
        return "equal" if ours.sqlstate[:2] == theirs.sqlstate[:2] else "code"
    if ours.failed:
        return "refused" if ours.sqlstate == "0A000" else "failed"
    if ours.rows is None or theirs.rows is None:
        return "equal" if ours.rows is theirs.rows else "rows"
    found = compare(ours, theirs, order)
    if found in ("equal", "digits", "scale"):
        if ours.types != theirs.types:
            return "types"
        if ours.names != theirs.names:
            return "names"
    return found


def compare(ours, theirs, order):
    if len(ours.rows) != len(theirs.rows) or len(ours.names) != len(theirs.names):
        return "rows"
    if order == "all":
        left, right = ours.rows, theirs.rows
    else:
        left, right = sorted(ours.rows, key=known), sorted(theirs.rows, key=known)
        if order and [[row[i] for i in order] for row in ours.rows] != [[row[i] for i in order] for row in theirs.rows]:
            if left == right:
                return "rows"
    if left == right:
        return "equal"
    for word, tolerances in (("digits", FLOATS), ("scale", NUMERICS)):
        allowed = [tolerances.get(oid) for oid in theirs.types]
        if all(close(a, b, tolerance) for one, other in zip(left, right) for a, b, tolerance in zip(one, other, allowed)):
            return word
    return "rows"


def known(row):
    return tuple((value is None, value or "") for value in row)


def close(ours, theirs, tolerance):
    if ours == theirs:
        return True
    if tolerance is None or ours is None or theirs is None:
        return False
    one, other = re.split(r"[,{}]", ours), re.split(r"[,{}]", theirs)
    if len(one) != len(other):
        return False
    return all(a == b or near(a, b, tolerance) for a, b in zip(one, other))


def near(ours, theirs, tolerance):
    try:
        one, other = float(ours), float(theirs)
    except ValueError:
        return False
    return math.isfinite(one) and math.isfinite(other) and math.isclose(one, other, rel_tol=tolerance)


class Explained:
    """The kinds of a checked-in file, and how often each of them was met."""

    def __init__(self, name):
        path = pathlib.Path(__file__).parent / name
        self.kinds = tomllib.loads(path.read_text()).get("kind", [])
        for kind in self.kinds:
            unknown = set(kind) - {"outcome", "statement", "ours", "theirs", "reason"}
            if unknown or "reason" not in kind:
                raise SystemExit(f"{path}: a kind has a reason, and no {unknown}")
        self.met = collections.Counter()

    def reason(self, word, sql, ours, theirs, counted=True):
        texts = {"outcome": word, "statement": sql, "ours": str(ours), "theirs": str(theirs)}
        for kind in self.kinds:
            if all(re.search(kind[name], value, re.I | re.S) for name, value in texts.items() if name in kind):
                self.met[kind["reason"]] += counted
                return kind["reason"]
        return None

    def unmet(self):
        return [kind["reason"] for kind in self.kinds if not self.met[kind["reason"]]]


class Count:
    """Counts outcomes, keeps what is not explained, and says whether the run is a success."""

    def __init__(self, explained):
        self.explained, self.faults = explained, []
        self.words, self.explained_words, self.open_words = collections.Counter(), collections.Counter(), collections.Counter()

    def add(self, word, sql, ours, theirs):
        """Whether the difference wants to be shown."""
        self.words[word] += 1
        if word in ("equal", "digits"):
            return False
        if self.explained.reason(word, sql, ours, theirs):
            self.explained_words[word] += 1
            return False
        return True

    def fault(self, word):
        if word in FAULTS:
            self.faults.append(word)

    def __str__(self):
        total = sum(self.words.values())
        parts = []
        for word in ORDER:
            known = [f"{count[word]} {what}" for count, what in ((self.explained_words, "explained"), (self.open_words, "open")) if count[word]]
            if self.words[word]:
                parts.append(f"{self.words[word]} {word}" + (f" ({', '.join(known)})" if known else ""))
        return f"{total} statements: " + ", ".join(parts)
