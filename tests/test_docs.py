"""The documentation is correct: its commands run, its links have targets, and the README is short."""

import contextlib
import functools
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from pyarrow import parquet
from tritonclient import grpc
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from client import Client
from client._commands import program
from client._sdk.parameters import RANGES
from client._tables.presets import PRESETS
from client._tables.table import SCHEMA
from export.random_weights import CAMERA_LABELS
from fixtures.score_tables import write_realistic_scores
from fixtures.synthetic import encode
from server import Server
from tests.doc_blocks import ROOT, Block, blocks, blocks_of, documents
from video.errors import Reason

BIN = Path(sys.prefix, "bin")
BLOCKS = blocks()
RUN = [block for block in BLOCKS if block.reason is None]
NOT_RUN = [block for block in BLOCKS if block.reason is not None]
SHELL = ("bash", "console", "sh")
TIMEOUT_SECONDS = 120
MUST_RUN = bool(os.environ.get("CI") or os.environ.get("REQUIRE_BROWSER"))
README = ROOT / "README.md"
COMMANDS = "score|filter|summary|report|watch|learn|annotate|cut"
QUICK_PAGES = ("README.md", "docs/cli.md", "docs/python.md")
RUN_PYTHON = """\
import ast, asyncio, inspect, pathlib, sys
code = compile(pathlib.Path(sys.argv[1]).read_text(), sys.argv[2], "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
answer = eval(code, {"__name__": "__main__"})
if inspect.iscoroutine(answer):
    asyncio.run(answer)
"""


def _named(found: list[Block], *languages: str) -> list:
    return [pytest.param(block, id=block.place) for block in found if block.language in languages]


def _quick_and_slow(found: list[Block], *languages: str) -> list:
    """All blocks of these languages; all but the README's and the first of a few pages are slow."""
    pages, params = set(), []
    for block in found:
        if block.language in languages:
            page = block.place.split(":")[0]
            slow = page not in QUICK_PAGES or (page != "README.md" and page in pages)
            pages.add(page)
            params.append(pytest.param(block, id=block.place, marks=[pytest.mark.slow] * slow))
    return params


@pytest.fixture(scope="session")
def scored(server: Server, reference_videos: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the documented commands name."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copy(reference_videos["bikes"], folder / "video.mp4")
    for name in ("videos/a.mp4", "videos/b.mp4", "shots/one/c.mp4", "more/d.mp4", "one.mkv"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(40, rate=20, container={".mkv": "matroska"}.get(path.suffix, "mp4")))
    (folder / "broken.mp4").write_bytes(b"not a video")
    (folder / "clips.csv").write_text("path,start_seconds,end_seconds\nvideo.mp4,0,4\nvideo.mp4,4,8\n")
    shutil.copytree(ROOT / "docs" / "examples", folder / "docs" / "examples")
    run = _shell("video-motion score videos/ --output scores.parquet", folder, server)
    assert run.returncode == 0, run.stderr
    for table in ("generator_a", "generator_b"):
        shutil.copy(folder / "scores.parquet", folder / f"{table}.parquet")
    return folder


def _shell(text: str, folder: Path, server: Server) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", _for(server, text)],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )


def _environment() -> dict[str, str]:
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    return os.environ | {"PATH": path, "PYTHONPATH": str(ROOT)}


def _for(server: Server, text: str) -> str:
    """The text with the test's server in place of the documented ones."""
    text = re.sub(r"\b(localhost|gpu\d):8001\b", server.url, text)
    lines = [
        re.sub(r"(video-motion (?:score|watch)|python -m client\.score)(?! --help)", rf"\1 --url {server.url}", line)
        if "--url" not in line
        else line
        for line in text.splitlines()
    ]
    return "\n".join(lines)


@pytest.mark.parametrize("block", _quick_and_slow(RUN, *SHELL))
def test_a_shell_block_runs(block: Block, scored: Path, server: Server, tmp_path: Path) -> None:
    if "npm install" in block.text:
        _need_npm()
    folder = Path(shutil.copytree(scored, tmp_path / "work"))
    run = _shell(block.text, folder, server)
    assert run.returncode == 0, f"{block.place}: status {run.returncode}\n{run.stdout}\n{run.stderr}"


@pytest.mark.parametrize("block", _quick_and_slow(RUN, "python"))
def test_a_python_block_runs(block: Block, scored: Path, server: Server, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(scored, tmp_path / "work"))
    (tmp_path / "block.py").write_text(_for(server, block.text))
    run = subprocess.run(
        [sys.executable, "-c", RUN_PYTHON, tmp_path / "block.py", block.place],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert run.returncode == 0, f"{block.place}:\n{run.stderr}"
    assert "Error" not in run.stdout, f"{block.place} printed an error:\n{run.stdout}"


@pytest.mark.heavy
def test_the_recipes_for_labels_find_the_same_clips(tmp_path: Path) -> None:
    path = write_realistic_scores(tmp_path / "scores.parquet", 300)
    rows = parquet.read_table(path).to_pylist()
    wanted = sum("pan_left" in clip["labels"] for row in rows for clip in row["clips"] or ())
    assert wanted > 100
    recipes = [block for block in RUN if block.language == "python" and "print(len(found), found)" in block.text]
    assert len(recipes) == 3  # pandas, polars, DuckDB
    for block in recipes:
        run = subprocess.run([sys.executable, "-c", block.text], cwd=tmp_path, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        assert int(run.stdout.split()[0]) == wanted, f"{block.place}:\n{run.stdout}"


@pytest.mark.parametrize("block", _named(BLOCKS, "json"))
def test_a_json_block_is_json(block: Block) -> None:
    json.loads(block.text)


def test_every_block_has_a_known_language() -> None:
    assert {block.language for block in BLOCKS} <= {*SHELL, "python", "json", "text"}
    assert len(RUN) > 20
    assert [block.place for block in NOT_RUN if block.language not in SHELL] == []  # the others can always run


def test_commands_are_in_fenced_blocks() -> None:
    """Only fenced blocks are run; no test would check an indented one."""
    indented = re.compile(r"^ {4,}(?:make|python3?|video-motion|docker|\.venv/\S+) .*", re.MULTILINE)
    for path in documents():
        outside = re.sub(r"^( *)```.*?^\1```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
        assert indented.findall(outside) == [], path


def test_a_block_that_is_not_run_has_a_reason() -> None:
    assert NOT_RUN
    for block in NOT_RUN:
        print(f"not run: {block.place}: {block.reason}")
        assert len((block.reason or "").split()) > 3, f"{block.place}: {block.reason!r} is no reason"


def test_a_marker_belongs_to_the_block_right_after_it() -> None:
    first = "<!-- not run: it needs a GPU -->\n```bash\na\n```\n\n"
    second = "<!-- not run: far away -->\n\n```bash\nb \\\n  c\n# d\n```\n\n"
    third = "<!-- not run: it takes an hour -->\n```bash\ne\n```\n"
    found = [(block.place, block.reason, block.lines) for block in blocks_of(first + second + third, "x.md")]
    assert found == [
        ("x.md:3", "it needs a GPU", ["a"]),
        ("x.md:9", None, ["b  c"]),
        ("x.md:16", "it takes an hour", ["e"]),
    ]


@pytest.mark.parametrize("block", _named(NOT_RUN, *SHELL))
def test_a_shell_block_that_is_not_run_names_what_exists(block: Block) -> None:
    assert not subprocess.run(["bash", "-n", "-c", block.text], capture_output=True, text=True).stderr
    for line in block.lines:
        for target in re.findall(r"\bmake ([\w-]+)", line):
            assert target in makefile_targets(), f"{block.place}: the Makefile has no target {target}"
        if (variables := re.match(r"((?:[A-Z_]+=\S+ )+)", line)) or " make " in f" {line}":
            for variable in re.findall(r"\b([A-Z][A-Z_]+)=", (variables or [""])[0] + line.partition("make ")[2]):
                assert variable in _sources(), f"{block.place}: nothing reads {variable}"
        for module, arguments in re.findall(r"python3? -m ([\w.]+)([^|&;]*)", line):
            if module in ("pytest", "pip"):
                continue
            if module != "server.launcher":  # whose flags are tritonserver's
                _check_flags(block, [sys.executable, "-m", module], arguments)
        for arguments in re.findall(rf"video-motion ({COMMANDS})\b([^|&;]*)", line):
            _check_flags(block, ["video-motion", arguments[0]], arguments[1])


def _check_flags(block: Block, command: list[str], arguments: str) -> None:
    usage = _help(*command) if command[-1] in ("server", "export") or "-m" not in command else _source(command[-1])
    for flag in (word.partition("=")[0] for word in shlex.split(arguments) if word.startswith("--")):
        assert re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", usage), f"{block.place}: {command} has no {flag}"


def _source(module: str) -> str:
    """The source of a module whose --help takes seconds, because it imports PyTorch."""
    path = ROOT.joinpath(*module.split("."))
    return (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text()


@functools.cache
def _help(*command: str) -> str:
    if command[0] == "video-motion":
        with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
            program.run(command[1], " ".join(command), ["--help"])
        return printed.getvalue()
    run = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    assert run.returncode == 0, run.stderr
    return run.stdout


@functools.cache
def makefile_targets() -> set[str]:
    """The phony targets of the Makefile."""
    phony = next(line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith(".PHONY:"))
    return set(phony.removeprefix(".PHONY:").split())


@functools.cache
def _sources() -> str:
    folders = ("server", "video", "backends", "export", "tests")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return "\n".join(path.read_text() for path in [ROOT / "Makefile", *paths])


def test_environment_variables_in_the_documentation_are_those_of_the_server() -> None:
    table = (ROOT / "docs" / "operations.md").read_text().partition("### Environment variables")[2].partition("###")[0]
    documented = set(re.findall(r"`([A-Z][A-Z0-9_]{3,})`", table))
    usage = _help(sys.executable, "-m", "server")
    names = r"(?:HTTP|GRPC|METRICS)_PORT|ADDRESS|PRECISION|GATE|OPEN_VIDEO_DECODE|TLS_\w+|REQUEST_LOG"
    names += r"|STREAMS|TRITON_FLAGS|[A-Z]+(?:_[A-Z]+)*_SECONDS|MAX_INT8_ERROR"
    said = set(re.findall(rf"\b({names})\b", usage))
    assert documented == said


def _rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without the row of titles."""
    text = (ROOT / "docs" / page).read_text().partition(f"\n{heading}\n")[2]
    lines = re.search(r"(^\|.*\n)+", text, re.MULTILINE)
    assert lines is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[0].splitlines()[2:]]


def test_the_table_of_labels_has_the_published_order() -> None:
    rows = _rows("labels.md", "## Camera labels")
    assert [(int(column), label.strip("`")) for column, label, *_ in rows] == [*enumerate(CAMERA_LABELS)]
    assert [kind for _, _, kind, *_ in rows] == ["move"] * 18 + ["shot type"] * 3


def test_the_table_of_parameters_has_the_ranges_of_the_client() -> None:
    rows = {name.strip("`"): allowed for name, _, _, allowed, _ in _rows("grpc.md", "## Request parameters")}
    assert rows.pop("signals") == "names"
    assert rows.keys() == RANGES.keys()
    for name, (low, high) in RANGES.items():
        assert rows[name] in (f"{low:g} to {high:g}", f"from {low:g}", "after `start_seconds`"), name


def test_the_table_of_columns_is_the_schema() -> None:
    rows = _rows("formats.md", "## Tables")
    columns = [(name, kind) for names, kind, _ in rows for name in re.findall(r"`(\w+)`", names)]
    kinds = {"float": "float32", "double": "float64"}
    wanted = [(field.name, kinds.get(str(field.type), str(field.type))) for field in SCHEMA if field.name != "clips"]
    assert columns == [*wanted, ("clips", "list of struct")]


def test_the_table_of_presets_has_their_limits() -> None:
    assert {name.strip("`"): limits.replace("1.0", "1") for name, limits in _rows("cli.md", "## filter")} == {
        name: str(preset) for name, preset in PRESETS.items()
    }


def test_the_reasons_are_those_of_the_server_and_the_client() -> None:
    text = (ROOT / "docs" / "formats.md").read_text().partition("`reason` is one of:")[2].partition("###")[0]
    documented = {name for line in text.splitlines() if line[:1] == "|" for name in re.findall(r"`(\w+)`", line)}
    assert {reason.value for reason in Reason} <= documented
    in_client = (ROOT / "client" / "errors.py").read_text()
    assert [name for name in documented if f"`{name}`" not in in_client] == []


def test_the_readme_is_short() -> None:
    text = README.read_text()
    assert len(text.splitlines()) <= 120
    assert len(text.split()) <= 900
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(pictures) == 1
    assert (ROOT / pictures[0]).stat().st_size < 200_000


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    run = subprocess.run(
        [BIN / "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    assert run.returncode == 0, run.stderr
    assert "WARNING" not in run.stderr
    pages = {path.name for path in (tmp_path / "site").glob("*.html")}
    assert {"index.html", "readme.html", "security.html", "changelog.html", "training.html"} <= pages
    loaded = re.compile(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["']?(https?:[^"'> ]+)""")
    assert [url for page in pages for url in loaded.findall((tmp_path / "site" / page).read_text())] == []


def test_links_on_a_git_host_lead_to_files_and_headings() -> None:
    for path in [
        README,
        *(ROOT / name for name in ("SECURITY.md", "CHANGELOG.md", "CONTRIBUTING.md", "training/README.md")),
    ]:
        for target, anchor in re.findall(r"\]\(([^)#\s:]+)(?:#([^)\s]+))?\)", path.read_text()):
            there = path.parent / target
            assert there.exists(), f"{path.name} links to {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", there.read_text(), re.MULTILINE)
                slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in slugs, f"{path.name} links to {target}#{anchor}"


def test_workflows_call_make_targets_that_exist() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert workflows
    called = set()
    for path in workflows:
        workflow = yaml.safe_load(path.read_text())
        steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
        called |= {target for step in steps for target in re.findall(r"\bmake ([\w-]+)", step.get("run", ""))}
    assert {"lint", "test", "test-all", "docs"} <= called
    assert called <= makefile_targets()


def test_the_example_declares_tritons_protocol() -> None:
    """Every field of docs/examples/triton.proto has the number and the type that it has in Triton's own protocol."""
    text = (ROOT / "docs" / "examples" / "triton.proto").read_text()
    path: list[str] = []
    checked = 0
    for line in text.splitlines():
        if opened := re.match(r"\s*(message|oneof|service) (\w+) \{", line):
            path.append(opened[2] if opened[1] == "message" else "")
        elif line.strip() == "}":
            path.pop()
        elif field := re.match(r"\s*(repeated )?(map<string, \w+>|\w+) (\w+) = (\d+);", line):
            repeated, kind, name, number = field.groups()
            message = _message([part for part in path if part])
            theirs = message.fields_by_name[name]
            assert theirs.number == int(number), name
            assert theirs.is_repeated == bool(repeated or kind.startswith("map")), name
            assert _kind(theirs) == (kind if not kind.startswith("map") else f"{name.title()}Entry"), name
            checked += 1
    assert checked == 21


def _message(path: list[str]) -> Descriptor:
    message = service_pb2.DESCRIPTOR.message_types_by_name[path[0]]
    for name in path[1:]:
        message = message.nested_types_by_name[name]
    return message


def _kind(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        return field.message_type.name
    names = {field.TYPE_STRING: "string", field.TYPE_BYTES: "bytes", field.TYPE_BOOL: "bool"}
    return (names | {field.TYPE_INT64: "int64", field.TYPE_DOUBLE: "double"})[field.type]


@functools.cache
def _npm_problem() -> str | None:
    if shutil.which("npm") is None or shutil.which("node") is None:
        return "Node.js and npm are not installed"
    run = subprocess.run(["npm", "ping", "--fetch-retries=0", "--fetch-timeout=20000"], capture_output=True, text=True)
    return f"npm cannot reach its registry: {run.stderr.strip()[-200:]}" if run.returncode else None


def _need_npm() -> None:
    if problem := _npm_problem():
        assert not MUST_RUN, problem
        pytest.skip(problem)


def test_the_node_example_says_what_the_client_says(
    scored: Path, server: Server, client: Client, tmp_path: Path
) -> None:
    _need_npm()
    folder = Path(shutil.copytree(scored / "docs" / "examples", tmp_path / "examples"))
    install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "@grpc/grpc-js", "@grpc/proto-loader"]
    subprocess.run(install, cwd=folder, check=True, timeout=TIMEOUT_SECONDS)

    def run(path: Path) -> subprocess.CompletedProcess[str]:
        command = ["node", "score.mjs", str(path), server.url]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)

    good = run(scored / "video.mp4")
    assert good.returncode == 0, good.stderr
    answer, score = json.loads(good.stdout), client.score(scored / "video.mp4", fps=4.0, max_clips=8)
    assert np.allclose(answer["scores"], list(vars(score.motion).values()), atol=1e-5)
    assert [clip["start_seconds"] for clip in answer["clips"]] == pytest.approx([c.start_seconds for c in score.camera])
    assert [set(clip["labels"]) for clip in answer["clips"]] == [set(clip.labels) for clip in score.camera]
    bad = run(scored / "broken.mp4")
    assert bad.returncode == 1
    assert bad.stderr.startswith("3 ")  # INVALID_ARGUMENT


def test_parameters_and_outputs_travel_as_the_grpc_page_says(scored: Path, server: Server) -> None:
    video = np.fromfile(scored / "videos" / "a.mp4", np.uint8)[None]
    tensor = grpc.InferInput("VIDEO", list(video.shape), "UINT8")
    tensor.set_data_from_numpy(video)
    asked = ["WEIGHTS", "VIDEO_INFO", "MOTION_SCORES"]
    with grpc.InferenceServerClient(server.url) as triton:

        def ask(names: list[str], **parameters: object) -> service_pb2.ModelInferResponse:
            outputs = [grpc.InferRequestedOutput(name) for name in names]
            return triton.infer("video_motion", [tensor], outputs=outputs, parameters=parameters).get_response()

        response = ask(asked, fps="4", max_clips=1, clip_seconds=1.5)
        backwards = ask(asked[::-1])
        with pytest.raises(InferenceServerException, match="fps is True") as refused:
            ask(asked, fps=True)
    assert refused.value.status() == "StatusCode.INVALID_ARGUMENT"
    orders = [[output.name for output in answer.outputs] for answer in (response, backwards)]
    assert orders != [asked, asked[::-1]]
    raw = dict(zip((output.name for output in response.outputs), response.raw_output_contents, strict=True))
    assert int.from_bytes(raw["WEIGHTS"][:4], "little") == len(raw["WEIGHTS"]) - 4
    assert {"motion", "camera", "precision", "labels"} <= json.loads(raw["WEIGHTS"][4:]).keys()
    assert np.frombuffer(raw["VIDEO_INFO"], "<f8").tolist() == [2.0, 40.0, 20.0, 160.0, 120.0]


def test_the_hook_rewrites_links_between_pages() -> None:
    spec = importlib.util.spec_from_file_location("site_hooks", ROOT / "docs" / "site_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    hooks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hooks)

    class Page:
        class file:
            src_uri = "training.md"

    rewritten = hooks.on_page_markdown("[a](../docs/gpu.md#check) [b](../README.md) [c](https://x.org/y.md)", Page)
    assert rewritten == "[a](gpu.md#check) [b](readme.md) [c](https://x.org/y.md)"
