"""A file as psql reads it: statements, meta-commands, variables, the data of COPY.

What psql itself shows (\\d, \\echo, \\pset) is skipped; \\set, \\gset, \\gexec, \\if and \\; are done. `$` is not special outside of dollar quotes.
"""

import re

NAME = re.compile(r":(?:'(\w+)'|\"(\w+)\"|(\w+))")
COPY_IN = re.compile(r"\s*copy\s.*\bfrom\s+stdin\b", re.I | re.S)
DOLLAR = re.compile(r"\$(?:[A-Za-z_\x80-\U0010ffff][\w\x80-\U0010ffff]*)?\$")


class Script:
    def __init__(self, text, variables=None):
        self.text, self.at, self.variables = text, 0, dict(variables or {})
        self.branches = []

    def line(self):
        return self.text.count("\n", 0, self.at) + 1

    def skipped(self):
        return any(not taken for taken, _ in self.branches)

    def statements(self):
        """(line, statement, data of COPY or None, end), where `end` is ";" or the meta-command that sends the statement."""
        buffer, first, depth = "", None, 0
        while self.at < len(self.text):
            char = self.text[self.at]
            if first is None and not char.isspace() and not self.text.startswith("--", self.at):
                first = self.line()
            if char == "'" or char == '"':
                buffer += self.quoted(char, buffer)
            elif char == "$" and (match := DOLLAR.match(self.text, self.at)) and not re.search(r"\w$", buffer):
                end = self.text.find(match[0], match.end())
                end = len(self.text) if end < 0 else end + len(match[0])
                buffer, self.at = buffer + self.text[self.at : end], end
            elif self.text.startswith("--", self.at):
                self.at = self.end_of_line()
                buffer += " "
            elif self.text.startswith("/*", self.at):
                buffer += self.comment()
            elif char == "\\":
                if self.text.startswith("\\;", self.at):
                    buffer, self.at = buffer + ";", self.at + 2
                    continue
                command, arguments = self.meta()
                if command in ("g", "gx", "gset", "gexec", "crosstabview", "gdesc", "bind") and buffer.strip():
                    if not self.skipped():
                        yield first, buffer.strip(), None, (command, arguments)
                    buffer, first, depth = "", None, 0
                elif command in ("r", "reset"):
                    buffer, first, depth = "", None, 0
                else:
                    self.done(command, arguments)
                    first = first if buffer.strip() else None
            elif char == ";" and depth <= 0 and not self.atomic(buffer):
                self.at += 1
                if not buffer.strip():
                    first = None
                    continue
                data = None
                if COPY_IN.match(buffer):
                    self.at = self.end_of_line() + 1
                    data = self.data()
                if not self.skipped():
                    yield first, buffer.strip(), data, (";", "")
                buffer, first, depth = "", None, 0
            elif char == ":" and not buffer.endswith(":") and (match := NAME.match(self.text, self.at)) and (name := match[1] or match[2] or match[3]) in self.variables:
                value = self.variables[name]
                if match[1]:
                    value = "'" + value.replace("'", "''") + "'"
                elif match[2]:
                    value = '"' + value.replace('"', '""') + '"'
                buffer, self.at = buffer + value, match.end()
            else:
                depth += (char == "(") - (char == ")")
                buffer, self.at = buffer + char, self.at + 1

    @staticmethod
    def atomic(buffer):
        words = re.findall(r"\b(begin\s+atomic|case|end)\b", buffer, re.I)
        return bool(re.search(r"\bbegin\s+atomic\b", buffer, re.I)) and sum(1 if word.lower() != "end" else -1 for word in words) > 0

    def quoted(self, quote, before):
        escapes = quote == "'" and re.search(r"(?:^|\W)[eE]$", before)
        end = self.at + 1
        while end < len(self.text):
            if escapes and self.text[end] == "\\":
                end += 2
            elif self.text[end] == quote:
                break
            else:
                end += 1
        found, self.at = self.text[self.at : end + 1], end + 1
        return found

    def comment(self):
        depth, start = 0, self.at
        while self.at < len(self.text):
            if self.text.startswith("/*", self.at):
                depth, self.at = depth + 1, self.at + 2
            elif self.text.startswith("*/", self.at):
                depth, self.at = depth - 1, self.at + 2
                if depth == 0:
                    break
            else:
                self.at += 1
        return self.text[start : self.at]

    def end_of_line(self):
        end = self.text.find("\n", self.at)
        return len(self.text) if end < 0 else end

    def data(self):
        end = self.text.find("\n\\.", self.at - 1)
        if self.text.startswith("\\.", self.at):
            end = self.at - 1
        end = len(self.text) if end < 0 else end
        data = self.text[self.at : end + 1]
        self.at = end + 1
        self.at = self.end_of_line() + 1
        return data

    def meta(self):
        end = self.end_of_line()
        words = self.text[self.at + 1 : end]
        # A second command may follow on the line.
        if (second := re.search(r"\s\\(?=[a-z])", words)) and not words.startswith(("if", "elif", "copy", "o", "echo")):
            self.at += 1 + second.start() + 1
            words = words[: second.start()]
        else:
            self.at = end
        command, _, arguments = words.partition(" ")
        return command.strip(), arguments.strip()

    def done(self, command, arguments):
        if command == "if":
            self.branches.append([self.true(arguments), False])
            self.branches[-1][1] = self.branches[-1][0]
        elif command == "elif" and self.branches:
            taken = not self.branches[-1][1] and self.true(arguments)
            self.branches[-1] = [taken, self.branches[-1][1] or taken]
        elif command == "else" and self.branches:
            self.branches[-1] = [not self.branches[-1][1], True]
        elif command == "endif" and self.branches:
            self.branches.pop()
        elif command == "set" and not self.skipped() and arguments:
            name, _, value = arguments.partition(" ")
            pieces = re.findall(r"'((?:[^']|'')*)'|:'?(\w+)'?|(\S+)", value)
            self.variables[name] = "".join(quoted.replace("''", "'").replace("\\n", "\n") or self.variables.get(variable, "") or plain for quoted, variable, plain in pieces)
        elif command == "unset":
            self.variables.pop(arguments, None)

    def true(self, condition):
        condition = re.sub(r":\{\?(\w+)\}", lambda match: str(match[1] in self.variables), condition)
        condition = NAME.sub(lambda match: self.variables.get(match[1] or match[2] or match[3], match[0]), condition)
        return condition.strip().lower() in ("t", "true", "on", "1", "yes")
