"""Reads a dashboard with Grafana's foundation kit, writes it again, and fails on every key that was lost."""
import json
import sys

try:
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard
except ImportError as missing:
    sys.exit(f"{missing}; run scripts/install-test-tools")

# Fields of an annotation that belong to its data source; the kit knows those of the dashboard only.
OF_THE_DATA_SOURCE = {"step", "textFormat", "titleFormat"}


def lost(before, after, path):
    if isinstance(before, dict) and isinstance(after, dict):
        for key, value in before.items():
            if key not in after:
                own = path.startswith("$.annotations.") and key in OF_THE_DATA_SOURCE
                if value not in (None, [], "", False) and not own:
                    yield f"{path}.{key}"
            else:
                yield from lost(value, after[key], f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list):
        for i, (a, b) in enumerate(zip(before, after)):
            yield from lost(a, b, f"{path}[{i}]")
        if len(before) != len(after):
            yield f"{path}: {len(before)} became {len(after)}"
    elif before != after:
        yield f"{path}: {before!r} became {after!r}"


register_default_plugins()
given = json.load(open(sys.argv[1]))
back = json.loads(json.dumps(Dashboard.from_json(given), cls=JSONEncoder))
gone = list(lost(given, back, "$"))
if gone:
    sys.exit("\n".join(gone[:20]))
