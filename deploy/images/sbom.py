#!/usr/bin/python3
"""Writes an image's bill of materials, SPDX 2.3 JSON (https://spdx.github.io/spdx-spec/v2.3/), from dpkg-query's lines on
standard input: package, version, architecture and source package, with tabs between."""
import argparse
import json
import re
import sys
import uuid


def package(identifier, name, version, purl, license_name="NOASSERTION"):
    return {"SPDXID": f"SPDXRef-{identifier}", "name": name, "versionInfo": version, "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": license_name, "copyrightText": "NOASSERTION",
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]}


def debian(lines):
    for line in lines:
        name, version, architecture, _source = line.rstrip("\n").split("\t")
        identifier = "deb-" + re.sub(r"[^A-Za-z0-9.-]", "-", f"{name}-{architecture}")
        yield package(identifier, name, version, f"pkg:deb/debian/{name}@{version.replace(':', '%3A').replace('+', '%2B')}?arch={architecture}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for option in ("name", "version", "revision", "created", "mbedtls"):
        parser.add_argument(f"--{option}", required=True)
    wanted = parser.parse_args()
    own = package("image", wanted.name, wanted.version, f"pkg:generic/{wanted.name}@{wanted.version}", "Apache-2.0")
    mbedtls = package("mbedtls", "mbedtls", wanted.mbedtls, f"pkg:generic/mbedtls@{wanted.mbedtls}", "Apache-2.0 OR GPL-2.0-or-later")
    packages = [own, mbedtls, *debian(sys.stdin)]
    name = f"{wanted.name}-{wanted.version}"
    json.dump({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": name,
        "documentNamespace": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{name}-{wanted.revision}')}",
        "creationInfo": {"created": wanted.created, "creators": ["Tool: mllp-gateway-build-images"]},
        "packages": packages,
        "relationships": [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-image"},
                          {"spdxElementId": "SPDXRef-image", "relationshipType": "STATIC_LINK", "relatedSpdxElement": "SPDXRef-mbedtls"},
                          *({"spdxElementId": "SPDXRef-image", "relationshipType": "CONTAINS", "relatedSpdxElement": each["SPDXID"]}
                            for each in packages[2:])],
    }, sys.stdout, indent=1)
    sys.stdout.write("\n")


main()
