#!/usr/bin/env python3
"""Finds circles of files within a crate: files that import from one another, directly or in a ring.

    circles.py CRATE...        exits with 1 and lists the circles where there are any
    circles.py --self-test     proves that circles are found, and that what is none is not

An import counts for the file in which the item is defined: re-exports are followed, so that a parent may declare and
re-export its children while they use what it defines itself. Tests do not count.
"""

import re
import sys
import tempfile
from pathlib import Path

NOISE = re.compile(
    r"""//[^\n]*|/\*.*?\*/|r(\#+)".*?"\1|r"[^"]*"|b?"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'""", re.DOTALL
)
USE = re.compile(r"(?P<public>\bpub(?:\([^)]*\))?\s+)?\buse\s+(?P<tree>[^;]+);")
MOD = re.compile(r"(?:#\[cfg\((?P<cfg>[^\]]*)\)\]\s*)?(?:pub(?:\([^)]*\))?\s+)?\bmod\s+(?P<name>\w+)\s*;")
PATH = re.compile(r"\b[A-Za-z_]\w*(?:\s*::\s*[A-Za-z_]\w*)+")


def without_tests(code):
    """Cuts inline test modules."""
    while (match := re.search(r"#\[cfg\(test\)\]\s*(?:pub(?:\([^)]*\))?\s+)?mod\s+\w+\s*\{", code)) is not None:
        depth, end = 1, match.end()
        while depth and end < len(code):
            depth += {"{": 1, "}": -1}.get(code[end], 0)
            end += 1
        code = code[: match.start()] + code[end:]
    return code


def leaves(tree, prefix=()):
    """The paths of a `use` tree, each with the name by which it is known."""
    tree = tree.strip()
    if (brace := tree.find("{")) >= 0 and tree.endswith("}"):
        head = [part for part in re.split(r"\s*::\s*", tree[:brace].strip().rstrip(":")) if part]
        depth, start, inner = 0, 0, tree[brace + 1 : -1]
        for place, letter in enumerate(inner + ","):
            depth += {"{": 1, "}": -1}.get(letter, 0)
            if letter == "," and depth == 0:
                if inner[start:place].strip():
                    yield from leaves(inner[start:place], (*prefix, *head))
                start = place + 1
        return
    path, _, alias = tree.partition(" as ")
    path = (*prefix, *re.split(r"\s*::\s*", path.strip()))
    if path[-1] == "self":
        path = path[:-1]
    yield path, alias.strip() or path[-1]


class Module:
    """A file: what it declares, imports, re-exports and mentions."""

    def __init__(self, path, name):
        self.path, self.name = path, name
        code = without_tests(NOISE.sub(" ", path.read_text()))
        self.children = {found["name"]: found["cfg"] == "test" for found in MOD.finditer(code)}
        self.imports, self.exports = [], {}
        for found in USE.finditer(code):
            for item, alias in leaves(found["tree"]):
                if found["public"]:
                    self.exports[alias] = item
                else:
                    self.imports.append((item, alias))
        self.mentions = {tuple(re.split(r"\s*::\s*", path)) for path in PATH.findall(USE.sub(" ", code))}


def modules_of(crate):
    """The modules of a crate by their paths, test modules left out."""
    source = Path(crate) / "src"
    root = next(path for path in (source / "lib.rs", source / "main.rs") if path.exists())
    found, waiting = {}, [((), root, source)]
    while waiting:
        name, path, folder = waiting.pop()
        module = found[name] = Module(path, name)
        for child, is_test in module.children.items():
            file = folder / f"{child}.rs"
            if not is_test and file.exists():
                waiting.append(((*name, child), file, folder / child))
    return found


def absolute(modules, module, path):
    """A path from the crate's root; none where it leads out of the crate."""
    first, rest = path[0], path[1:]
    if first == "crate":
        return rest
    if first in ("self", "super"):
        base = module.name
        while path and path[0] in ("self", "super"):
            base = base[:-1] if path[0] == "super" else base
            path = path[1:]
        return (*base, *path)
    if first in module.children:
        return (*module.name, *path)
    for item, alias in module.imports:
        if alias == first and item[0] != first:
            target = absolute(modules, module, item)
            return (*target, *rest) if target is not None and target in modules else None
    return None


def definition(modules, path, seen=()):
    """The module whose file defines what a path names."""
    for length in range(len(path), -1, -1):
        module = modules.get(path[:length])
        if module is None:
            continue
        rest = path[length:]
        if rest and rest[0] in module.exports and path not in seen:
            target = absolute(modules, module, module.exports[rest[0]])
            if target is not None:
                return definition(modules, (*target, *rest[1:]), (*seen, path))
        return module.name
    return None


def imports_of(modules, module):
    """The modules from which a module takes something."""
    paths = {item for item, _ in module.imports} | module.mentions
    targets = (absolute(modules, module, path) for path in paths)
    # Naming a module takes nothing from it: what is taken stands among the mentions.
    used = {definition(modules, path) for path in targets if path is not None and path not in modules}
    return used - {module.name, None}


def circles(crate):
    """Groups of files that reach one another (strongly connected components, by Tarjan)."""
    modules = modules_of(crate)
    edges = {name: imports_of(modules, module) for name, module in modules.items()}
    order, low, stack, groups = {}, {}, [], []

    def visit(name):
        order[name] = low[name] = len(order)
        stack.append(name)
        for target in edges[name]:
            if target not in order:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], order[target])
        if low[name] == order[name]:
            group = []
            while not group or group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1:
                groups.append(sorted(group))

    for name in edges:
        if name not in order:
            visit(name)
    return [
        [(modules[name].path, [modules[other].path for other in edges[name] if other in group]) for name in group]
        for group in groups
    ]


def self_test():
    """A crate with a ring of three through a re-export, and one in which children use their parent's items."""
    ring = {
        "lib.rs": "mod a;\nmod b;\nmod c;\n",
        "a.rs": "use crate::b::Two;\n",
        "b.rs": "mod inner;\npub use inner::Two;\n",
        "b/inner.rs": "use super::super::c;\nfn f() { c::g() }\n",
        "c.rs": "fn g() { crate::a::h() }\n",
    }
    none = {
        "lib.rs": "pub mod a;\n",
        "a.rs": "mod child;\npub use child::One;\npub struct Zero;\n#[cfg(test)]\nmod tests { use super::child::One; }\n",
        "a/child.rs": "use super::Zero; // use crate::b::Nothing;\npub struct One(Zero);\n",
    }
    for files, expected in ((ring, 1), (none, 0)):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder) / "src" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            found = circles(folder)
            assert len(found) == expected, found
            assert not found or len(found[0]) == 3, found


def main(arguments):
    if arguments == ["--self-test"]:
        self_test()
        return 0
    found = [group for crate in arguments for group in circles(crate)]
    for number, group in enumerate(found, 1):
        print(f"circle {number}:")
        for path, targets in group:
            print(f"  {path} imports from {', '.join(str(target) for target in targets)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
