#!/bin/sh
# A man page of section 8 from what a program says of itself: help-to-man.sh NAME ABOUT DATE SEE COMMAND…
# SEE is a list of pages in one word.
# The help comes from the program's own table of commands; here it only gets its roff. An indented line is
# an entry, "WORDS   TEXT", or WORDS whose text is the next line, indented further; other lines are paragraphs.
set -eu
name=$1 about=$2 date=$3 see=$4
shift 4

"$@" | awk -v name="$name" -v about="$about" -v date="$date" -v see="$see" '
function roff(s) {
    gsub(/\\/, "\\e", s)
    gsub(/-/, "\\-", s)
    if (s ~ /^[.\047]/) s = "\\&" s
    return s
}
# words that stand alone on their line and that no text has followed
function alone() {
    if (held != "") printf ".RS\n.B %s\n.RE\n", roff(held)
    held = ""
}
BEGIN {
    printf ".\\\" made from the program'"'"'s own help\n"
    printf ".TH %s 8 %s Reaper \"System administration\"\n", toupper(name), date
    printf ".SH NAME\n%s \\- %s\n.SH DESCRIPTION\n", roff(name), roff(about)
}
held != "" && /^      / {
    sub(/^ */, "")
    printf ".TP\n.B %s\n%s\n", roff(held), roff($0)
    held = ""
    next
}
{ alone() }
/^ *$/ { blank = 1; next }
/^  / {
    line = substr($0, 3)
    blank = 0
    if (match(line, /   *[^ ]/)) {
        words = substr(line, 1, RSTART - 1)
        sub(/^ */, "", line)
        text = substr(line, length(words) + 1)
        sub(/^ */, "", text)
        printf ".TP\n.B %s\n%s\n", roff(words), roff(text)
    } else
        held = line
    entry = 1
    next
}
{
    if (NR > 1 && (blank || entry)) print ".PP"
    blank = entry = 0
    print roff($0)
}
END {
    alone()
    n = split(see, pages, " ")
    print ".SH SEE ALSO"
    for (i = 1; i <= n; i++) printf ".BR %s (8)%s\n", roff(pages[i]), i < n ? "," : ""
}'
