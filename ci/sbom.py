#!/usr/bin/env python3
"""The bill of materials of the packages, as SPDX 2.3 JSON.

  sbom.py libraries ARCH                                   the libraries that a build for ARCH links in
  sbom.py document VERSION ARCH EPOCH LIBRARIES PACKAGE…   the bill; LIBRARIES is the file of the former

What is in it: the packages with their hashes, and each library that is linked into the programs, with
version and licence as Debian's package has them. The same input gives the same bytes. REAPER_SYSROOT is
where the libraries of another architecture are unpacked (ci/cross-root.sh).
"""

import datetime
import hashlib
import json
import os
import pathlib
import subprocess
import sys

# the library's Debian package, and its licence as SPDX writes it
LIBRARIES = {
    "libc6-dev": ("glibc", "LGPL-2.1-or-later"),
    "libjson-c-dev": ("json-c", "MIT"),
    "libprotobuf-c-dev": ("protobuf-c", "BSD-2-Clause"),
    "libseccomp-dev": ("libseccomp", "LGPL-2.1-only"),
}


def version_of(package):
    database = os.environ.get("REAPER_SYSROOT", "") + "/var/lib/dpkg"
    command = ["dpkg-query", f"--admindir={database}", "-W", "-f", "${source:Version}", package]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def libraries(arch):
    return [
        {"name": name, "version": version_of(debian), "licence": licence, "package": debian, "arch": arch}
        for debian, (name, licence) in sorted(LIBRARIES.items())
    ]


def part(name, version, licence, **more):
    return {
        "SPDXID": f"SPDXRef-{name}".replace("_", "-").replace("~", "-"), "name": name, "versionInfo": version,
        "licenseDeclared": licence, "licenseConcluded": "NOASSERTION", "copyrightText": "NOASSERTION",
        "downloadLocation": "NOASSERTION", "filesAnalyzed": False, **more,
    }  # fmt: skip


def document(version, arch, epoch, libraries, packages):
    own = part("reaper", version, "Apache-2.0")
    linked = [
        part(each["name"], each["version"], each["licence"], externalRefs=[{
            "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
            "referenceLocator": f"pkg:deb/debian/{each['package']}@{each['version']}?arch={each['arch']}",
        }])
        for each in libraries
    ]  # fmt: skip
    files = [
        part(path.name, version, "Apache-2.0", packageFileName=path.name, checksums=[
            {"algorithm": "SHA256", "checksumValue": hashlib.sha256(path.read_bytes()).hexdigest()}])
        for path in map(pathlib.Path, packages)
    ]  # fmt: skip
    relations = [("SPDXRef-DOCUMENT", "DESCRIBES", own["SPDXID"])]
    relations += [(own["SPDXID"], "STATIC_LINK", each["SPDXID"]) for each in linked]
    relations += [(each["SPDXID"], "CONTAINS", own["SPDXID"]) for each in files]
    return {
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"reaper-{version}-{arch}",
        "documentNamespace": f"https://reaper.invalid/spdx/reaper-{version}-{arch}",
        "creationInfo": {
            "created": datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "creators": ["Organization: Reaper maintainers"],
        },
        "packages": [own, *linked, *files],
        "relationships": [
            {"spdxElementId": a, "relationshipType": kind, "relatedSpdxElement": b} for a, kind, b in relations],
    }  # fmt: skip


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "libraries":
        result = libraries(arguments[1])
    elif len(arguments) >= 6 and arguments[0] == "document":
        version, arch, epoch, linked, *packages = arguments[1:]
        result = document(version, arch, int(epoch), json.loads(pathlib.Path(linked).read_text()), packages)
    else:
        sys.exit("usage: sbom.py libraries ARCH | document VERSION ARCH EPOCH LIBRARIES PACKAGE...")
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
