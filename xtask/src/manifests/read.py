"""Reads rendered manifests: FILE... on the command line, what they hold and what is wrong on stdout.

Each document is held against the schema of each Kubernetes version that kubernetes-validate has, strictly: a
key that a version does not know is wrong. Kinds of others' APIs have no schema there, and are named.
"""

import json
import sys

import yaml
from kubernetes_validate import utils

versions = sorted(set(utils.all_versions()), key=lambda version: [int(part) for part in version.split(".")])
documents, wrong, unknown = {}, {}, set()
for file in sys.argv[1:]:
    with open(file, encoding="utf-8") as stream:
        documents[file] = list(yaml.safe_load_all(stream))
    for document in documents[file]:
        for version in versions:
            try:
                utils.validate(document, version, strict=True)
            except utils.SchemaNotFoundError:
                unknown.add(f"{document['apiVersion']} {document['kind']}")
            except utils.ValidationError as error:
                place = ".".join([document["kind"], document["metadata"]["name"], *map(str, error.path)])
                wrong.setdefault((file, f"{place}: {error.message}"), []).append(version)
json.dump(
    {
        "versions": versions,
        "documents": documents,
        "wrong": [
            {"file": file, "why": f"{why} (Kubernetes {', '.join(versions)})"}
            for (file, why), versions in wrong.items()
        ],
        "unknown": sorted(unknown),
    },
    sys.stdout,
)
