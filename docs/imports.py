#!/usr/bin/env python3
"""Counts the imports of lossreel's source between its modules and checks their direction.

    python3 docs/imports.py                    the modules directly under src/
    python3 docs/imports.py --inside render    the modules directly under src/render/
    python3 docs/imports.py --check            exits with 1 if a circle or an upward import is found

An import is a pair of files: the first names something of the second in a `use` declaration or in a
path in its code. Comments, strings, items under `#[cfg(test)]` and files that only tests compile
are left out. A `pub use` of a module's own descendants is a re-export: it is followed to the file
that defines the name and is not an import itself. A module's file that names its own submodules
(`mod.rs`) is not in a circle with them; a circle is reported between files beside one another.
"""
import argparse
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path

# A module may import those after it in the list, never those before it.
ORDER = {
    "": "main cli lecture report sweep viewer stages spec render measures landscape record train curvature objective trajectory "
        "optim "
        "backend models network weights dataset pickle element rng disk parallel names memory error lib",
    "render": "scenes surface3d map page film encode scene canvas numbers",
}


def strip(text):
    """The text without comments and the contents of strings."""
    token = r'//[^\n]*|/\*.*?\*/|r(#*)".*?"\1|"(?:\\.|[^"\\])*"|\'(?:\\.|[^\\\'])\''
    return re.sub(token, lambda m: " " if m[0].startswith("/") else '""', text, flags=re.S)


def end_of_item(text, start):
    """The position after the item at `start`: after its matching brace, or after its semicolon."""
    depth = 0
    for i in range(start, len(text)):
        depth += (text[i] in "{([") - (text[i] in "})]")
        if depth == 0 and text[i] in ";}":
            return i + 1
    return len(text)


def without_tests(text):
    """The text without the items under `#[cfg(test)]`, and the names of test modules in files."""
    modules = set()
    while found := re.search(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*", text):
        end = end_of_item(text, found.end())
        declared = re.match(r"(?:pub\S* )?mod (\w+)\s*;", text[found.end():end])
        modules |= {declared[1]} if declared else set()
        text = text[:found.start()] + text[end:]
    return text, modules


def leaves(tree, prefix=()):
    """The paths of a `use` tree, as pairs of the path and the name it is given."""
    tree = tree.strip()
    head, brace, rest = tree.partition("{")
    if brace:
        prefix += tuple(s.strip() for s in head.split("::") if s.strip())
        parts, depth, part = [], 0, ""
        for c in rest.rstrip()[:-1]:
            depth += (c == "{") - (c == "}")
            parts, part = (parts + [part], "") if c == "," and depth == 0 else (parts, part + c)
        return [leaf for p in parts + [part] if p.strip() for leaf in leaves(p, prefix)]
    path, _, alias = tree.partition(" as ")
    path = prefix + tuple(s.strip() for s in path.split("::"))
    path = path[:-1] if path[-1] == "self" and len(path) > 1 else path
    return [(path, alias.strip() or path[-1])]


class Source:
    """The files under `root` by module path, and what they import of one another."""

    def __init__(self, root):
        self.root, self.file_of, self.names, texts, tests = root, {}, defaultdict(dict), {}, set()
        for file in sorted(root.rglob("*.rs")):
            parts = file.relative_to(root).with_suffix("").parts
            module = parts[:-1] if parts[-1] == "mod" else () if parts == ("lib",) else parts
            texts[module], below = without_tests(strip(file.read_text(encoding="utf-8")))
            self.file_of[module] = file.relative_to(root)
            tests |= {module + (name,) for name in below}
        in_test = lambda m: m[-1:] == ("tests",) or any(m[:i + 1] in tests for i in range(len(m)))
        self.file_of = {m: f for m, f in self.file_of.items() if not in_test(m)}
        uses = [use for m in self.file_of for use in self.uses(texts[m], m, m)]
        for file, scope, path, name, exported in uses:
            target = self.absolute(path, scope)
            if exported and target:
                self.names[scope][name] = target
        self.imports = set()
        for file, scope, path, name, exported in uses:
            target = self.absolute(path, scope)
            if not target:
                continue
            target = self.resolve(target)
            if target != file and not (exported and target[:len(file)] == file):
                self.imports.add((file, target))

    def uses(self, text, file, scope):
        """(file, scope, path, name, whether exported) of each path in the text of a module."""
        text = re.sub(r"\bpub\s*\(in [^)]*\)", "pub", text)
        while inner := re.search(r"\bmod (\w+)\s*\{", text):
            end = end_of_item(text, inner.start())
            yield from self.uses(text[inner.end():end - 1], file, scope + (inner[1],))
            text = text[:inner.start()] + text[end:]
        declaration = r"\b(pub(?:\s*\(\w+\))?\s+)?use\s+([^;]+);"
        for exported, tree in re.findall(declaration, text):
            yield from ((file, scope, path, name, bool(exported)) for path, name in leaves(tree))
        for path in re.findall(r"(?<![\w:])(?:\w+::)+\w+", re.sub(declaration, "", text)):
            yield file, scope, tuple(path.split("::")), "", False

    def absolute(self, path, scope):
        """A path from the crate's root, or None for what another crate or a type defines."""
        if path[0] in ("crate", "lossreel"):
            return path[1:]
        if path[0] not in ("self", "super"):
            return scope + path if scope + path[:1] in self.file_of else None
        while path and path[0] in ("self", "super"):
            scope, path = scope[:-1] if path[0] == "super" else scope, path[1:]
        return scope + path

    def resolve(self, path):
        """The module that defines a path, through re-exports."""
        for i in range(len(path) + 1):
            if path[:i] not in self.file_of and i:
                exported = self.names[path[:i - 1]].get(path[i - 1])
                return self.resolve(exported + path[i:]) if exported else path[:i - 1]
        return path


def circles(edges):
    """The strongly connected components of more than one node (Tarjan 1972)."""
    after, index, low, stack, found = defaultdict(set), {}, {}, [], []
    for a, b in edges:
        after[a].add(b)

    def visit(a):
        index[a] = low[a] = len(index)
        stack.append(a)
        for b in sorted(after[a]):
            if b not in index:
                visit(b)
            if b in stack:
                low[a] = min(low[a], low[b])
        if low[a] == index[a]:
            at = stack.index(a)
            found.append(sorted(stack[at:]))
            del stack[at:]

    for a in sorted({a for edge in edges for a in edge}):
        if a not in index:
            visit(a)
    return [c for c in found if len(c) > 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--inside", default="", metavar="MODULE", help="a module such as render")
    parser.add_argument("--check", action="store_true",
                        help="exit with 1 if a circle or an upward import is found")
    parser.add_argument("--src", type=Path, default=Path(__file__).resolve().parent.parent / "src",
                        help="the folder of the source")
    args = parser.parse_args()
    inside = tuple(p for p in re.split(r"::|/", args.inside) if p)
    source = Source(args.src)
    order = ORDER.get("/".join(inside), "").split()
    place = {room: i for i, room in enumerate(order)}
    room = lambda module: (module[len(inside):] or ("lib" if not inside else "mod",))[0]
    within = lambda module: module[:len(inside)] == inside
    imports = [(a, b) for a, b in source.imports if within(a) and within(b)]
    # A module's own file and its submodules are one another's outside and inside.
    related = lambda a, b: a == b[:len(a)] or b == a[:len(b)]
    between = [(a, b) for a, b in imports if room(a) != room(b) and inside not in (a, b)]
    name = lambda module: str(source.file_of[module])

    files = sum(within(m) for m in source.file_of)
    pairs = Counter((room(a), room(b)) for a, b in between)
    rooms = len({r for pair in pairs for r in pair})
    print(f"{args.src / Path(*inside)}: {files} files, {len(imports)} imports, "
          f"{len(between)} between {rooms} modules")
    for a, b in sorted(pairs, key=lambda pair: [(place.get(r, len(place)), r) for r in pair]):
        print(f"  {a} -> {b}: {pairs[a, b]}")
    upward = sorted((name(a), name(b)) for a, b in between
                    if place.get(room(a), -1) > place.get(room(b), len(place)))
    unplaced = sorted({r for pair in pairs for r in pair} - set(place)) if order else []
    of_files = circles([e for e in imports if not related(*e)])
    of_rooms = circles(pairs)
    print(f"against the order: {len(upward)}")
    print("".join(f"  {a} -> {b}\n" for a, b in upward), end="")
    if order and unplaced:
        print(f"not in the order: {', '.join(unplaced)}")
    print(f"circles between files: {len(of_files)}")
    print("".join("  " + ", ".join(name(m) for m in c) + "\n" for c in of_files), end="")
    print(f"circles between modules: {len(of_rooms)}")
    print("".join("  " + ", ".join(c) + "\n" for c in of_rooms), end="")
    return int(args.check and bool(upward or unplaced or of_files or of_rooms))


if __name__ == "__main__":
    sys.exit(main())
