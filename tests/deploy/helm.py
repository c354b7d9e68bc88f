"""helm install, upgrade and uninstall with Helm's own library, for where its program is not.

    helm.py install|upgrade NAME CHART --namespace NAMESPACE [--values FILE]…
    helm.py uninstall NAME --namespace NAMESPACE
"""

import argparse
import os

import helm_python
import yaml

parser = argparse.ArgumentParser()
parser.add_argument("command", choices=["install", "upgrade", "uninstall"])
parser.add_argument("name")
parser.add_argument("chart", nargs="?")
parser.add_argument("--namespace", required=True)
parser.add_argument("--values", action="append", default=[])
args = parser.parse_args()


def merged(old, new):
    """Maps are merged, anything else is replaced, as Helm does with its files of values."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: merged(old.get(key), value) for key, value in new.items()}
    return new


values = {}
for path in args.values:
    with open(path, encoding="utf-8") as file:
        values = merged(values, yaml.safe_load(file))
with helm_python.Config(kubeconfig_path=os.environ["KUBECONFIG"], namespace=args.namespace) as config:
    if args.command == "uninstall":
        config.uninstall(args.name)
        print(f'release "{args.name}" uninstalled')
    else:
        act = config.install if args.command == "install" else config.upgrade
        release = act(args.chart, args.name, values, namespace=args.namespace)
        print(f"release {args.name}, revision {release['revision']}: {release['status']}")
