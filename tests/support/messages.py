"""The messages of errors in src/: which functions make them, and how their texts are spelt."""

import re

from machine import SOURCE

# what fills a struct err, or says why a call is refused; and which argument of it is the text
MAKERS = {
    "err_setf": 3,
    "json_errorf": 2,
    "REFUSE": 2,
    "UNSUPPORTED": 1,
    "oci_field_errorf": 3,
    "refuse": 3,
    "fprintf": 1,
    "fputs": 0,
    "say": 0,
    "INVALID": 1,
    "bad": 2,
    "fail_pausers": 3,
    "toml_fail_at": 2,
    "yaml_refuse": 1,
}
# what their functions put around these texts: the place of the value, of the byte, the way round
AROUND = {
    "json_errorf": ": ",
    "REFUSE": ": ",
    "oci_field_errorf": ": ",
    "toml_fail_at": ", column \0",
    "yaml_refuse": "; or as JSON: kubectl create \0",
}
# what is printed at once: which argument says that it is an error
PRINTERS = {"fprintf": 0, "fputs": 1, "say": None}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(MAKERS) + r")\(")
NAMES = re.compile(r"(?:reaperctl|reaper-runtime|containerd-shim-reaper-v2|reaper)(?:: [a-z-]+(?: [a-z]+)?)?:? |warning: |: ")
# a row of a table of what an errno means
OF_AN_ERRNO = re.compile(r'\{E[A-Z0-9]+, "((?:[^"\\]|\\.)+)"\}')
LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
CONVERSION = re.compile(r"%[-+#0]*[\d*]*(?:\.[\d*]*)?(?:hh|h|ll|l|z|j)?[diouxXcsp]|%\" PRI\w+ \"")


def arguments(text, at):
    """The arguments of the call whose parenthesis is before `at`, as source text."""
    depth, start, found, quoted = 1, at, [], False
    while depth:
        c = text[at]
        if quoted:
            if c == "\\":
                at += 1
            elif c == '"':
                quoted = False
        elif c == '"':
            quoted = True
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif c == "," and depth == 1:
            found.append(text[start:at])
            start = at + 1
        at += 1
    return [*found, text[start : at - 1]]


def messages():
    """(place, the pieces of a text that stand between its values) of every message."""
    for path in sorted((SOURCE / "src").glob("*/*.c")):
        source = path.read_text()
        for match in OF_AN_ERRNO.finditer(source):
            yield f"{path.relative_to(SOURCE)}:{source[: match.start()].count(chr(10)) + 1}", [f": {match[1]}"]
        for match in CALL.finditer(source):
            given = arguments(source, match.end())
            if len(given) <= MAKERS[match[1]]:
                continue
            sign = PRINTERS.get(match[1])
            if sign is not None and given[sign].strip() != "stderr":
                continue
            # adjacent literals are one text; the two of a choice are not
            whole = "".join if "?" not in given[MAKERS[match[1]]] else "\0".join
            text = CONVERSION.sub("\0", AROUND.get(match[1], "") + whole(LITERAL.findall(given[MAKERS[match[1]]])))
            if not re.search(r"\w", text):  # what it says are its arguments: a choice of words
                text = "\0".join(LITERAL.findall(",".join(given[MAKERS[match[1]] + 1 :])))
            text = text.replace('\\"', '"').replace("%%", "%")
            place = f"{path.relative_to(SOURCE)}:{source[: match.start()].count(chr(10)) + 1}"
            # the program's and the command's name alone say nothing: what follows them is another's text
            pieces = [piece for piece in text.replace("\\n", "").split("\0") if re.search(r"\w", piece)]
            yield place, [piece for piece in pieces if match[1] not in PRINTERS or not NAMES.fullmatch(piece)]
