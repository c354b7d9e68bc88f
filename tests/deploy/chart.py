"""What the tests of the deployment ask of Helm and YAML; answers in JSON on standard output.

    chart.py render CHART VERSION VALUES…   text and objects for each file of values, as for that
                                            version of Kubernetes; keys of a secret are masked
    chart.py errors CHART VERSION VALUES…   why each of these files is refused, or null
    chart.py lint CHART                     what Helm's lint finds
    chart.py objects FILE…                  the objects in files
"""

import json
import re
import sys

import helm_python
import yaml


def objects(text):
    return [found for found in yaml.safe_load_all(text) if found]


def values_of(path, version):
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file) | {"kubeVersion": version}


def render(chart, values):
    chart.validate_schema(values)
    files = chart.render(values, name="agentsentry", namespace="agentsentry")
    texts = [text.strip() for path, text in sorted(files.items()) if path.endswith(".yaml")]
    text = "\n---\n".join(text for text in texts if text) + "\n"
    # A new authority is another one in each render.
    text = re.sub(r"(tls\.(?:crt|key): )\S+", r"\1cmFuZG9t", text)
    return {"text": text, "objects": objects(text)}


def error(chart, values):
    try:
        render(chart, values)
    except helm_python.HelmError as refused:
        return str(refused)
    return None


def main(command, *args):
    if command == "lint":
        return helm_python.lint(args[0])
    if command == "objects":
        files = (open(path, encoding="utf-8") for path in args)
        return [found for file in files for found in objects(file.read())]
    with helm_python.Chart.load(args[0]) as chart:
        act = {"render": render, "errors": error}[command]
        return [act(chart, values_of(path, args[1])) for path in args[2:]]


json.dump(main(*sys.argv[1:]), sys.stdout)
