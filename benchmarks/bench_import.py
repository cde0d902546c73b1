"""`import gamedyn` against `import sympy, numpy`: python benchmarks/bench_import.py

Bar: the median ratio of at least 9 interleaved pairs is at most 1.25.  The second row also touches a game
and a step map, which is when the exact world is loaded.
"""

from __future__ import annotations

from harness import child_cpu_time, pin, ratio, save

if __name__ == "__main__":
    pin()
    base = "import sympy, numpy"
    cases = {
        "import gamedyn": "import gamedyn",
        "import gamedyn, a game and a step map": (
            "import gamedyn as gd; gd.StepMap(gd.Simultaneous(1), gd.zero_sum('x*y', 'x', 'y'))"
        ),
    }
    save(
        "import",
        {
            name: ratio(lambda code=code: child_cpu_time(code), lambda: child_cpu_time(base), pairs=11)
            for name, code in cases.items()
        },
    )
