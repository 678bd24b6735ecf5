"""Statements as trees, so that a failing one can be made smaller.

A node has a kind: whatever stands in the place of a node may stand in the place of another of its kind. `optional` nodes may be left
out, elements of a `List` too as long as one is left. `sorted` stands on a clause that orders the rows of its statement.
"""


class Node:
    def __init__(self, kind, *parts, optional=False):
        self.kind, self.parts, self.optional = kind, list(parts), optional
        self.sorted = None

    def __str__(self):
        return "".join(str(part) for part in self.parts)

    def children(self):
        return [part for part in self.parts if isinstance(part, Node)]

    def copy(self):
        new = self.__class__.__new__(self.__class__)
        new.__dict__.update(self.__dict__)
        new.parts = [part.copy() if isinstance(part, Node) else part for part in self.parts]
        return new

    def order(self):
        """How the rows of the statement are ordered: `"all"`, columns, or None."""
        return next((part.sorted for part in [self, *self.children()] if part.sorted is not None), None)

    def size(self):
        return 1 + sum(child.size() for child in self.children())

    def below(self):
        for child in self.children():
            yield child
            yield from child.below()


class List(Node):
    def __init__(self, kind, elements, separator=", "):
        super().__init__(kind, *elements)
        self.separator = separator

    def __str__(self):
        return self.separator.join(str(part) for part in self.parts)


class Parameter(Node):
    """A value that the statement is given by the extended protocol. `rendered` numbers it."""

    def __init__(self, kind, value, name):
        super().__init__(kind)
        self.value, self.name, self.number = value, name, 0

    def __str__(self):
        return f"${self.number}::{self.name}"


def rendered(tree):
    """The statement and the values of its parameters; None without any, for then the simple protocol will do."""
    parameters = [node for node in tree.below() if isinstance(node, Parameter)]
    for number, node in enumerate(parameters):
        node.number = number + 1
    return str(tree), [node.value for node in parameters] or None


class Nothing(Node):
    def __init__(self):
        super().__init__("nothing")


def smaller(root, value=None):
    """Trees with something less than `root`, the smallest first. `value` gives a constant that stands for a node, or None."""
    found = []

    def replaced(path, new):
        tree = root.copy()
        if not path:
            return new
        node = tree
        for index in path[:-1]:
            node = node.parts[index]
        node.parts[path[-1]] = new
        return tree

    def visit(node, path):
        for other in node.below():
            if other.kind == node.kind and other.kind != "clause":
                found.append(replaced(path, other.copy()))
        if node.optional:
            found.append(replaced(path, Nothing()))
        if value is not None and path and (constant := value(node)) is not None:
            found.append(replaced(path, constant))
        if isinstance(node, List) and len(node.parts) > 1:
            for index in range(len(node.parts)):
                fewer = node.copy()
                del fewer.parts[index]
                found.append(replaced(path, fewer))
        for index, child in enumerate(node.parts):
            if isinstance(child, Node):
                visit(child, path + [index])

    visit(root, [])
    found.sort(key=lambda tree: (tree.size(), len(str(tree))))
    return found


def minimise(root, fails, value=None, budget=120):
    """The smallest tree found within `budget` trials for which `fails` holds, too."""
    tried = {rendered(root)[0]}
    while budget > 0:
        for tree in smaller(root, value):
            shown = rendered(tree)[0]
            if shown in tried or len(shown) > len(str(root)) + 20:
                continue
            tried.add(shown)
            budget -= 1
            if fails(tree):
                root = tree
                break
            if budget <= 0:
                return root
        else:
            return root
    return root
