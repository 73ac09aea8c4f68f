"""What the suites of cases have in common.

A case is a function whose name begins with `case_`; the rest of the name is its claim. Each gets a fresh bucket.
"""

import inspect
import socket
import sys
import traceback

# Names below `localhost` are this machine's (RFC 6761), which not every resolver knows.
_resolve = socket.getaddrinfo
socket.getaddrinfo = lambda host, *rest, **more: _resolve(
    "localhost" if str(host).endswith(".localhost") else host, *rest, **more
)


def run(module, client, prefix):
    """Runs the cases of a module, or those that the command line names; the exit code says whether all passed."""
    cases = [
        (name.removeprefix("case_"), case)
        for name, case in module.items()
        if name.startswith("case_") and inspect.isfunction(case)
    ]
    wanted = sys.argv[1:]
    failed = 0
    for number, (name, case) in enumerate(cases):
        if wanted and name not in wanted:
            continue
        bucket = f"{prefix}-{number:02}"
        try:
            client.create_bucket(Bucket=bucket)
            case(bucket)
            print(f"passed {name}", flush=True)
        except Exception:  # a case may fail in any way, and the others still count
            failed += 1
            print(f"failed {name}\n{traceback.format_exc()}", flush=True)
    return 1 if failed else 0
