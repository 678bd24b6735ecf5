"""Random statements to Lakehold and to a PostgreSQL: the same columns, types and rows, or an error of the same class.

    differential.py [--kind expressions|queries|texts ..] [--seed N] [--first N] [--count N] [--all] [--out FILE]

A seed says which statements come: case N of a seed is the same whenever the two catalogs are the same. Every difference that no line of
explained.toml covers is made smaller and shown unless open.toml has it, at most a few of each form; `--all` shows all. The exit status is 1
if one of them is an answer that is wrong without an error, or an internal error.
"""

import argparse
import collections
import re
import sys
import time

from outcomes import FAULTS, SILENT, Count, Explained, outcome
from servers import sessions
from trees import minimise, rendered

SHOWN = 2


def form(sql):
    """A statement without its values, to tell kinds from repetitions."""
    words = re.findall(r"::\s*\"?\w+|[a-z_]+(?=\()|[A-Z]{2,}|[-+*/<>=~!@#%^&|?]+", re.sub(r"'(?:[^']|'')*'", "''", sql))
    return " ".join(dict.fromkeys(words))[:160]


def families():
    from expressions import Expressions
    from queries import Queries
    from texts import Texts

    return {"expressions": (Expressions, 450), "queries": (Queries, 350), "texts": (Texts, 200)}


def run(kind, family, count, first, show_all, explained, opened, out):
    ours, theirs = family.ours, family.theirs
    total = Count(explained)
    shown, hidden = collections.Counter(), collections.Counter()
    started = time.monotonic()
    for number in range(first, first + count):
        for tree in family.cases(number):
            sql, parameters = rendered(tree)
            expected, found = theirs.run(sql, parameters), ours.run(sql, parameters)
            word = outcome(found, expected, tree.order())
            if not total.add(word, sql, found, expected):
                continue

            already = opened.reason(word, sql, found, expected, False) is not None

            def fails(smaller):
                statement = rendered(smaller)
                other = theirs.run(*statement)
                if other.failed and word not in ("accepted", "code", "internal", "lost"):
                    return False
                mine = ours.run(*statement)
                if outcome(mine, other, smaller.order()) != word or mine.sqlstate != found.sqlstate:
                    return False
                # A new difference must not become one that is known.
                known = (explained,) if already else (explained, opened)
                return all(kinds.reason(word, statement[0], mine, other, False) is None for kinds in known)

            if word in FAULTS + ("failed",):
                tree = minimise(tree, fails, getattr(family, "constant", None), 20 if already or word not in FAULTS else 80)
                sql, parameters = rendered(tree)
                expected, found = theirs.run(sql, parameters), ours.run(sql, parameters)
            if opened.reason(word, sql, found, expected):
                total.open_words[word] += 1
                continue
            total.fault(word)
            key = (word, form(sql) if word in FAULTS else found.message[:40])
            shown[key] += 1
            if show_all or shown[key] <= SHOWN:
                print(f"-- {word} {kind} {number}: {sql}{f' with {parameters}' if parameters else ''}\n   PostgreSQL {expected}\n   Lakehold   {found}", file=out, flush=True)
            else:
                hidden[key] += 1
            if expected.sqlstate == "LOST":
                raise SystemExit("PostgreSQL itself was lost: leave this function out")
    for (word, key), times in hidden.most_common(20):
        print(f"-- {word}: {times} more of {key}", file=out)
    print(f"{kind}: {total}; {time.monotonic() - started:.0f} s", file=out, flush=True)
    return total


def main():
    available = families()
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", action="append", choices=list(available))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--out", type=argparse.FileType("w"), default=sys.stdout)
    options = parser.parse_args()
    explained, opened = Explained("explained.toml"), Explained("open.toml")
    print(f"seed {options.seed}")
    faults = []
    for kind in options.kind or available:
        make, short = available[kind]
        ours, theirs = sessions("differential")
        family = make(ours, theirs, options.seed)
        total = run(kind, family, options.count or short, options.first, options.all, explained, opened, options.out)
        faults += total.faults
        if options.out is not sys.stdout:
            print(f"{kind}: {total}")
        ours.close(), theirs.close()
    for kinds in (explained, opened):
        for reason, times in kinds.met.most_common():
            print(f"   {times:5} {reason}")
    as_in_ci = not options.kind and options.count is None and (options.seed, options.first) == (1, 0)
    if as_in_ci and (mended := opened.unmet()):
        print("mended, so take it off open.toml: " + "; ".join(mended), file=sys.stderr)
        sys.exit(1)
    if faults:
        print(f"{len(faults)} unexplained: {dict(collections.Counter(faults))}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
