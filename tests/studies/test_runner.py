"""The runner of studies, on a package of tiny ones made for each test."""

import importlib
import json
import math
import sys
import textwrap

import matplotlib
import numpy as np
import pytest
from typer.testing import CliRunner

import studies
from studies.__main__ import app
from studies.gallery import read_record, verify_committed
from studies.runner import Check, Study, compute_study, load_study, run_studies, study_names
from studies.store import Store, check_data, code_digest, default_root

PACKAGE = "tiny_studies"

GOOD = """
    import matplotlib.pyplot as plt
    import numpy as np
    from studies.runner import Check, Study

    CALLS = []

    def compute(parameters, progress):
        CALLS.append("compute")
        progress(0.5, "half way")
        return {"curve": np.linspace(0.0, 1.0, parameters["points"]), "rate": np.float64(0.5), "label": "decay"}

    def checks(data):
        end = Check("end", data["curve"][-1], 2.0, 0.0, "at_most")
        return [Check("rate", data["rate"], 0.5, 1e-9, source="Table | 1"), end]

    def draw(data):
        fig, ax = plt.subplots()
        ax.plot(data["curve"], label=data["label"])
        ax.legend()
        return fig

    STUDY = Study("fig01_good", "A good one", "Somebody (2020)", compute, draw, checks, parameters={"points": 5})
"""

PARTS = """
    from pathlib import Path
    import matplotlib.pyplot as plt
    import numpy as np
    from studies.runner import Check, Study

    CALLS = []
    BROKEN = [True]

    def train(parameters, progress):
        CALLS.append("train")
        return {"weights": np.arange(3.0)}

    def measure(parameters, progress, earlier):
        CALLS.append("measure")
        if BROKEN[0]:
            raise KeyboardInterrupt
        return {"total": float(earlier["weights"].sum())}

    def checks(data):
        return [Check("total", data["total"], 3.0, 0.0)]

    def draw(data):
        return plt.figure()

    STUDY = Study("fig02_parts", "Parts", "Somebody (2021)", {"train": train, "measure": measure}, draw, checks)
"""


FAILING = GOOD.replace("fig01_good", "fig03_failing").replace('data["rate"], 0.5, 1e-9', 'data["rate"], 0.75, 0.1')
RAISING = GOOD.replace("fig01_good", "fig04_raising").replace("CALLS.append", "undefined_name")
SLOW = GOOD.replace("fig01_good", "fig05_slow").replace("parameters={", "quick=False, parameters={")
NEEDY = GOOD.replace("fig01_good", "fig06_needy").replace("parameters={", "needs=('no_such_module',), parameters={")


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Write modules into a package of studies; forget it afterwards."""
    folder = tmp_path / "source" / PACKAGE
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setenv("GAMEDYN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def forget():
        for name in [name for name in sys.modules if name.split(".")[0] == PACKAGE]:
            del sys.modules[name]

    def write(**modules):
        forget()
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(text))
        importlib.invalidate_caches()
        return importlib.import_module(PACKAGE)

    yield write
    forget()


@pytest.fixture
def call(make, tmp_path):
    """The command line on that package: exit code and lines."""

    def invoke(*arguments, out=True):
        where = ["--out", str(tmp_path / "figures")] if out else []
        result = CliRunner().invoke(app, [*arguments, *where], obj=PACKAGE)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.output.splitlines()

    return invoke


def module(name):
    return sys.modules[f"{PACKAGE}.{name}"]


class TestCheck:
    @pytest.mark.parametrize(
        ("kind", "measured", "ok", "excess"),
        [
            ("abs", 2.5, True, 0.0),
            ("abs", 1.25, False, 0.25),
            ("rel", 3.0, True, 0.0),
            ("rel", 3.5, False, 0.5),
            ("at_most", -50.0, True, 0.0),
            ("at_most", 2.75, False, 0.25),
            ("at_least", 50.0, True, 0.0),
            ("at_least", 1.0, False, 0.5),
            ("at_most", math.nan, False, math.inf),
            ("abs", math.inf, False, math.inf),
        ],
    )
    def test_verdict_and_excess_of_each_kind_around_two_with_tolerance_a_half(self, kind, measured, ok, excess):
        check = Check("number", measured, 2.0, 0.5, kind)
        assert (check.ok, check.excess) == (ok, excess)

    def test_a_failing_check_says_by_how_much(self):
        assert str(Check("rate", 0.75, 0.5, 0.125)) == (
            "rate: measured 0.75, published 0.5 (tolerance 0.125 abs), off by 0.125"
        )

    @pytest.mark.parametrize(
        "arguments",
        [
            {"kind": "about"},
            {"tolerance": -1.0},
            {"tolerance": math.inf},
            {"published": math.nan},
            {"published": 0.0, "kind": "rel"},
        ],
    )
    def test_a_check_that_could_not_fail_or_never_hold_is_refused(self, arguments):
        with pytest.raises(ValueError, match="rate"):
            Check(**{"name": "rate", "measured": 1.0, "published": 1.0, "tolerance": 0.1, **arguments})


class TestStudy:
    def study(self, **changes):
        fields = {"name": "fig", "title": "", "source": "", "compute": dict, "draw": dict, "checks": list}
        return Study(**{**fields, **changes})

    @pytest.mark.parametrize("name", ["../x", "Fig", "", "a b"])
    def test_names_that_are_no_file_names_are_refused(self, name):
        with pytest.raises(ValueError, match="no name for a study"):
            self.study(name=name)
        with pytest.raises(ValueError, match="no name for a study"):
            self.study(compute={name: dict})

    def test_parameters_must_fit_into_json(self):
        with pytest.raises(TypeError, match="JSON"):
            self.study(parameters={"a": np.zeros(2)})

    def test_no_parts_are_refused(self):
        with pytest.raises(ValueError, match="no parts"):
            self.study(compute={})


class TestDiscovery:
    def test_modules_of_the_runner_and_private_ones_are_no_studies(self, make):
        package = make(fig02_b="", fig01_a="", runner="", store="", gallery="", _helper="")
        assert study_names(package) == ["fig01_a", "fig02_b"]

    def test_a_module_without_a_study_or_with_another_name_is_named(self, make):
        package = make(fig01_a="x = 1", fig09_moved=GOOD)
        with pytest.raises(TypeError, match="fig01_a"):
            load_study(package, "fig01_a")
        with pytest.raises(ValueError, match="fig09_moved"):
            load_study(package, "fig09_moved")

    def test_every_committed_figure_belongs_to_a_study(self):
        from studies.__main__ import FIGURES

        assert {path.stem for path in FIGURES.glob("*.json")} <= set(study_names(studies))

    def test_the_committed_figures_keep_their_tolerances(self):
        from studies.__main__ import FIGURES

        assert verify_committed(FIGURES) == []


class TestCache:
    def load(self, make, text=GOOD, name="fig01_good"):
        return load_study(make(**{name: text}), name)

    def test_a_second_run_computes_nothing_and_gives_the_same(self, make, tmp_path):
        study, store = self.load(make), Store(tmp_path)
        first, second = compute_study(study, store), compute_study(study, store)
        assert module("fig01_good").CALLS == ["compute"]
        assert first.keys() == second.keys() == {"curve", "rate", "label"}
        np.testing.assert_array_equal(first["curve"], second["curve"])
        assert (second["rate"], second["label"]) == (0.5, "decay")

    def test_force_computes_again(self, make, tmp_path):
        study, store = self.load(make), Store(tmp_path)
        compute_study(study, store)
        compute_study(study, store, force=True)
        assert module("fig01_good").CALLS == ["compute"] * 2

    def test_the_key_follows_computing_code_and_parameters_only(self, make):
        key = self.load(make).key
        same = GOOD.replace("CALLS = []", "CALLS = []  # a comment").replace("ax.legend()", "ax.grid()")
        assert self.load(make, same).key == key
        assert self.load(make, GOOD.replace("np.float64(0.5)", "np.float64(0.6)")).key != key
        assert self.load(make, GOOD.replace('"points": 5', '"points": 6')).key != key

    def test_the_key_follows_the_package_the_libraries_and_private_helpers(self, make, monkeypatch):
        study = self.load(make)
        keys = {study.key}
        make(_helper="x = 1")
        keys.add(study.key)
        monkeypatch.setattr("studies.store.package_digest", lambda: "another package")
        keys.add(study.key)
        monkeypatch.setattr("studies.store.versions", lambda: {"numpy": "9"})
        keys.add(study.key)
        assert len(keys) == 4

    def test_code_digest_ignores_docstrings_and_layout_but_not_code(self):
        plain = code_digest("def f(x):\n    return x\n")
        assert code_digest('"""Doc."""\ndef f(x):\n    """Doc."""\n\n    return (x)  # why\n') == plain
        assert code_digest("def f(x):\n    return -x\n") != plain

    def test_a_run_that_was_killed_goes_on_with_the_missing_part(self, make, tmp_path):
        study, store = self.load(make, PARTS, "fig02_parts"), Store(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            compute_study(study, store)
        module("fig02_parts").BROKEN[0] = False
        assert compute_study(study, store)["total"] == 3.0
        assert module("fig02_parts").CALLS == ["train", "measure", "measure"]

    @pytest.mark.parametrize("damage", ["truncated", "text", "array", "pickle"])
    def test_a_corrupt_entry_warns_and_is_computed_again(self, make, tmp_path, damage):
        study, store = self.load(make), Store(tmp_path)
        data = compute_study(study, store)
        (path,) = tmp_path.glob("fig01_good/*/all.npz")
        content = path.read_bytes()
        if damage == "truncated":
            path.write_bytes(content[: len(content) // 3])
        elif damage == "text":
            path.write_text("not an archive")
        elif damage == "array":
            with path.open("wb") as file:
                np.save(file, np.zeros(2))
        else:
            np.savez(path, bad=np.array([print], dtype=object))
        with pytest.warns(RuntimeWarning, match="fig01_good: the cached part 'all' cannot be read"):
            again = compute_study(study, store)
        np.testing.assert_array_equal(again["curve"], data["curve"])
        assert module("fig01_good").CALLS == ["compute"] * 2
        assert compute_study(study, store)["rate"] == 0.5
        assert len(module("fig01_good").CALLS) == 2

    @pytest.mark.filterwarnings("ignore:s. the cached part:RuntimeWarning")
    def test_no_flipped_byte_gives_another_result(self, tmp_path):
        store, data = Store(tmp_path), {"noise": np.random.default_rng(0).standard_normal(30), "rate": 0.5}
        store.save("s", "k", "p", data)
        path = store.path("s", "k", "p")
        content, refused = path.read_bytes(), 0
        for index, byte in enumerate(content):
            path.write_bytes(content[:index] + bytes([byte ^ 255]) + content[index + 1 :])
            found = store.load("s", "k", "p")
            refused += found is None
            assert found is None or (found["rate"] == 0.5 and np.array_equal(found["noise"], data["noise"])), index
        assert refused > len(content) // 2

    def test_a_part_follows_the_earlier_part_that_was_computed_again(self, make, tmp_path):
        study, store = self.load(make, PARTS, "fig02_parts"), Store(tmp_path)
        module("fig02_parts").BROKEN[0] = False
        compute_study(study, store)
        next(tmp_path.glob("fig02_parts/*/train.npz")).unlink()
        compute_study(study, store)
        assert module("fig02_parts").CALLS == ["train", "measure"] * 2

    def test_an_unwritable_cache_warns_and_keeps_the_result(self, make, tmp_path):
        (tmp_path / "file").write_text("")
        with pytest.warns(RuntimeWarning, match="GAMEDYN_CACHE"):
            assert compute_study(self.load(make), Store(tmp_path / "file"))["rate"] == 0.5

    def test_nothing_temporary_is_left(self, make, tmp_path):
        compute_study(self.load(make), Store(tmp_path / "cache"))
        assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == ["all.npz"]

    def test_array_names_may_be_keywords_of_numpy(self, tmp_path):
        store = Store(tmp_path)
        store.save("s", "k", "p", {"file": np.arange(2), "scalars.json": "text", "texts": np.array(["a", "é"])})
        data = store.load("s", "k", "p")
        assert data["file"].tolist() == [0, 1]
        assert data["scalars.json"] == "text"
        assert data["texts"].tolist() == ["a", "é"]

    @pytest.mark.parametrize("value", [None, [1, 2], {"a": 1}, np.array([None]), 1j])
    def test_what_cannot_be_stored_is_named(self, value):
        with pytest.raises(TypeError, match="'thing'"):
            check_data({"thing": value})

    def test_two_parts_may_not_give_the_same_name(self, make, tmp_path):
        text = PARTS.replace('"total"', '"weights"').replace("BROKEN = [True]", "BROKEN = [False]")
        with pytest.raises(ValueError, match="'measure' gives weights again"):
            compute_study(self.load(make, text, "fig02_parts"), Store(tmp_path))

    def test_the_environment_names_the_folder(self, monkeypatch, tmp_path):
        monkeypatch.setenv("GAMEDYN_CACHE", str(tmp_path))
        assert default_root() == tmp_path / "studies"
        monkeypatch.delenv("GAMEDYN_CACHE")
        assert default_root().parts[-3:] == (".cache", "gamedyn", "studies")


class TestFigures:
    def draw(self, make, folder, cache):
        study = load_study(make(fig01_good=GOOD), "fig01_good")
        return run_studies([study], Store(cache), figures=folder)

    def test_a_rerun_gives_the_same_bytes(self, make, tmp_path):
        for name in "ab":
            (outcome,) = self.draw(make, tmp_path / name, tmp_path / f"cache_{name}")
            assert outcome.status == "ok", outcome.message
        files = sorted(path.name for path in (tmp_path / "a").iterdir())
        assert files == ["README.md", *(f"fig01_good.{suffix}" for suffix in ("json", "pdf", "png", "svg"))]
        for name in files:
            assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name

    def test_the_record_holds_numbers_and_versions_but_no_date_and_no_path(self, make, tmp_path):
        self.draw(make, tmp_path, tmp_path / "cache")
        found = json.loads((tmp_path / "fig01_good.json").read_text())
        assert found.keys() == {
            *("schema", "name", "title", "source", "command", "quick", "parameters", "versions", "checks", "ok")
        }
        assert found["versions"].keys() == {"gamedyn", "numpy", "scipy", "sympy", "torch"}
        assert found["parameters"] == {"points": 5}
        assert found["checks"][0] == {
            "name": "rate",
            "measured": 0.5,
            "published": 0.5,
            "tolerance": 1e-9,
            "kind": "abs",
            "note": "",
            "source": "Table | 1",
            "ok": True,
        }
        for path in tmp_path.glob("fig01_good.*"):
            assert str(tmp_path).encode() not in path.read_bytes()

    def test_the_gallery_shows_picture_table_and_command(self, make, tmp_path):
        self.draw(make, tmp_path, tmp_path / "cache")
        page = (tmp_path / "README.md").read_text()
        assert "![A good one](fig01_good.png)" in page
        assert "| rate | 0.5 | 0.5 | 1e-09 | yes | Table \\| 1 |" in page
        assert "| end | 1 | ≤ 2 | 0 | yes |  |" in page
        assert "`python -m studies run fig01_good`" in page

    def test_the_gallery_keeps_figures_that_were_not_drawn_now(self, make, tmp_path):
        self.draw(make, tmp_path, tmp_path / "cache")
        run_studies([], Store(tmp_path / "cache"), figures=tmp_path)
        assert "A good one" in (tmp_path / "README.md").read_text()

    def test_drawing_leaves_the_global_style_and_closes_its_figure(self, make, tmp_path):
        import matplotlib.pyplot as plt

        before = dict(matplotlib.rcParams)
        plt.close("all")
        self.draw(make, tmp_path, tmp_path / "cache")
        assert {**before, "backend": 0} == {**matplotlib.rcParams, "backend": 0}
        assert plt.get_fignums() == []
        assert matplotlib.get_backend().lower() == "agg"

    def test_a_measured_nan_is_recorded_and_read_back_as_failed(self, make, tmp_path):
        make(fig01_good=GOOD.replace("np.float64(0.5)", "np.float64('nan')"))
        study = load_study(importlib.import_module(PACKAGE), "fig01_good")
        run_studies([study], Store(tmp_path / "cache"), figures=tmp_path)
        found, checks = read_record(tmp_path / "fig01_good.json")
        assert found["ok"] is False
        assert math.isnan(checks[0].measured)

    @pytest.mark.parametrize(
        ("change", "complaint"),
        [
            (lambda r: r["checks"][0].update(measured=0.75), "verdict its numbers do not give"),
            (lambda r: r["checks"][0].update(measured=0.75, ok=False) or r.update(ok=False), "off by 0.25"),
            (lambda r: r.update(ok=False), "verdict its numbers do not give"),
            (lambda r: r.update(checks=[]), "verdict its numbers do not give"),
            (lambda r: r.update(schema=99), "schema 99"),
            (lambda r: r.pop("title"), "not a study's record"),
            (lambda r: r.update(name="fig77"), "the record is of 'fig77'"),
        ],
    )
    def test_verification_of_committed_records_finds(self, make, tmp_path, change, complaint):
        self.draw(make, tmp_path, tmp_path / "cache")
        assert verify_committed(tmp_path) == []
        path = tmp_path / "fig01_good.json"
        found = json.loads(path.read_text())
        change(found)
        path.write_text(json.dumps(found))
        (problem,) = verify_committed(tmp_path)
        assert complaint in problem

    def test_verification_misses_a_lost_picture_and_a_lost_record(self, make, tmp_path):
        self.draw(make, tmp_path, tmp_path / "cache")
        (tmp_path / "fig01_good.pdf").unlink()
        assert verify_committed(tmp_path)[0].startswith("fig01_good: no pdf in")
        (tmp_path / "fig01_good.json").unlink()
        assert verify_committed(tmp_path, ["fig01_good"])[0].startswith("fig01_good: no json, pdf in")


class TestCommandLine:
    def test_run_draws_the_quick_studies_and_says_one_line_each_in_a_pipe(self, make, call, tmp_path):
        make(fig01_good=GOOD, fig05_slow=SLOW)
        assert call("run") == (0, ["ok      fig01_good: 2/2 checks"])
        assert (tmp_path / "figures" / "fig01_good.svg").is_file()
        assert not (tmp_path / "figures" / "fig05_slow.svg").exists()

    def test_a_terminal_sees_a_progress_bar(self, make, call, monkeypatch):
        monkeypatch.setenv("FORCE_COLOR", "1")
        monkeypatch.setenv("TERM", "xterm")
        make(fig01_good=GOOD)
        code, lines = call("run")
        assert code == 0
        assert any("━" in line for line in lines)

    def test_all_and_names_reach_the_slow_ones(self, make, call):
        make(fig01_good=GOOD, fig05_slow=SLOW)
        assert call("run", "--all")[1] == ["ok      fig01_good: 2/2 checks", "ok      fig05_slow: 2/2 checks"]
        assert call("run", "fig05_slow")[1] == ["ok      fig05_slow: 2/2 checks"]

    @pytest.mark.parametrize("command", ["run", "check"])
    def test_a_failing_check_names_itself_and_gives_exit_code_one(self, make, call, tmp_path, command):
        make(fig01_good=GOOD, fig03_failing=FAILING)
        assert call(command) == (
            1,
            [
                "ok      fig01_good: 2/2 checks",
                "failed  fig03_failing: 1/2 checks",
                "        rate: measured 0.5, published 0.75 (tolerance 0.1 abs), off by 0.15",
            ],
        )
        assert (tmp_path / "figures" / "fig03_failing.png").is_file() == (command == "run")

    def test_a_study_that_raises_is_named_and_the_others_still_run(self, make, call):
        make(fig01_good=GOOD, fig00_unimportable="import no_such_module_here", fig04_raising=RAISING)
        code, lines = call("run")
        assert code == 1
        assert lines[0].startswith("error   fig00_unimportable: ModuleNotFoundError")
        assert lines[1:] == [
            "ok      fig01_good: 2/2 checks",
            "error   fig04_raising: NameError: name 'undefined_name' is not defined",
        ]

    def test_traceback_shows_where_it_raised(self, make, call):
        make(fig04_raising=RAISING)
        assert any("in compute" in line for line in call("run", "--traceback")[1])

    def test_a_study_without_what_it_needs_is_skipped_unless_it_was_named(self, make, call):
        make(fig06_needy=NEEDY)
        line = "skipped fig06_needy: needs no_such_module"
        assert call("run") == (0, [line])
        assert call("run", "fig06_needy") == (1, [line])

    @pytest.mark.parametrize("command", ["run", "check"])
    def test_an_unknown_name_lists_the_names_and_gives_exit_code_two(self, make, call, command):
        make(fig01_good=GOOD, fig05_slow=SLOW)
        assert call(command, "fig99") == (2, ["No study is called fig99. The studies: fig01_good, fig05_slow."])

    def test_list_shows_the_committed_verdict(self, make, call):
        make(fig01_good=GOOD, fig03_failing=FAILING, fig05_slow=SLOW)
        call("run")
        assert call("list") == (
            0,
            [
                "fig01_good\tA good one\tSomebody (2020)\tyes\tok",
                "fig03_failing\tA good one\tSomebody (2020)\tyes\tfailed",
                "fig05_slow\tA good one\tSomebody (2020)\tno\t-",
            ],
        )

    def test_check_committed_reads_only_the_records(self, make, call):
        make(fig01_good=GOOD, fig03_failing=FAILING)
        call("run")
        make(fig01_good="import no_such_module_here", fig03_failing=FAILING)
        assert call("check", "--committed", "fig01_good") == (0, ["ok      1 committed figures"])
        code, lines = call("check", "--committed")
        assert code == 1
        assert lines == ["fig03_failing: rate: measured 0.5, published 0.75 (tolerance 0.1 abs), off by 0.15"]

    def test_check_uses_the_cache_and_force_does_not(self, make, call):
        make(fig01_good=GOOD)
        for arguments, calls in ((["run"], 1), (["check"], 1), (["check", "--force"], 2)):
            call(*arguments)
            assert len(module("fig01_good").CALLS) == calls
