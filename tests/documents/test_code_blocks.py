"""Every block of code in the documents runs, in its page's order, in a folder with the files that it names."""

import ast
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
import urllib.request
from configparser import ConfigParser

import pytest
import yaml
from code_blocks import BLOCKS, DATA, OUTPUT, PAGES, ROOT, SHELL, blocks_of

from conftest import once

RUN = [page for page in PAGES if any(block.is_code and block.not_run is None for block in blocks_of(page))]
CODE = [block for block in BLOCKS if block.is_code]


def lines_to_run(page):
    """How many lines of a page are run."""
    run = (block.text for block in blocks_of(page) if block.is_code and block.not_run is None)
    return sum(text.count("\n") for text in run)


RUN.sort(key=lines_to_run, reverse=True)  # the longest first


def test_blocks_are_of_known_kinds():
    assert {block.language for block in BLOCKS} <= {*SHELL, "python", *OUTPUT, *DATA}
    assert all(block.not_run is None or len(block.not_run) > 5 for block in BLOCKS), "a mark names its reason"
    assert sum(block.not_run is None for block in CODE) > 3 * sum(block.not_run is not None for block in CODE)


@pytest.mark.thorough
@pytest.mark.parametrize("block", [block for block in CODE if block.language == "python"], ids=str)
def test_python_compiles_and_its_names_exist(block):
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "lucidbox":
            if node.module.startswith(("lucidbox.batch.ray", "lucidbox.batch.spark")):
                continue  # their extras may be absent; tests/batch imports them where they are not
            module = importlib.import_module(node.module)
            for alias in node.names:
                assert hasattr(module, alias.name) or importlib.import_module(f"{node.module}.{alias.name}")


@pytest.mark.parametrize("block", [block for block in CODE if block.language in SHELL], ids=str)
def test_extras_that_are_installed_exist(block):
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extras in re.findall(r"pip install.*?\[([\w,]+)\]", block.text):
        assert set(extras.split(",")) <= set(known)


def test_benchmarks_that_are_named_have_the_options():
    for block in CODE:
        for name, arguments in re.findall(r"python benchmarks/(\w+)\.py(.*)", block.text):
            source = (ROOT / "benchmarks" / f"{name}.py").read_text(encoding="utf-8")
            for option in re.findall(r"(--[\w-]+)", arguments.partition("#")[0]):
                assert option in source, f"{block}: {option}"


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language in DATA[:4]], ids=str)
def test_data_is_well_formed(block):
    if block.language == "json":
        for line in block.text.splitlines():
            json.loads(line)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "yaml":
        assert yaml.safe_load(block.text)
    else:
        ConfigParser(strict=False, interpolation=None).read_string(block.text)


@pytest.fixture(scope="module")
def files(cache_folder):
    """A folder with all files that examples name, made once."""
    from named_files import make_files

    folder = cache_folder / "documents"
    with once(cache_folder, folder.name):
        if not folder.exists():
            made = cache_folder / "documents-unfinished"
            made.mkdir()
            make_files(made)
            made.rename(folder)
    return folder


@pytest.mark.extended
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.relative_to(ROOT / "docs").as_posix())
def test_every_block_of_a_page_runs(page, files, tmp_path):
    folder = tmp_path / "files"
    shutil.copytree(files, folder)
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "lucidbox").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lucidbox "$@"\n')
    (programs / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for program in programs.iterdir():
        program.chmod(0o755)
    (programs / ".curlrc").write_text("fail\n")  # what a server refuses is a failure here
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}", "CURL_HOME": str(programs), "MPLBACKEND": "agg"
    }  # fmt: skip
    server, port = None, None
    try:
        for number, block in enumerate(blocks_of(page)):
            if not block.is_code or block.not_run is not None:
                continue
            text = block.text if port is None else block.text.replace("127.0.0.1:8000", f"127.0.0.1:{port}")
            if text.startswith("lucidbox serve"):
                for line in reversed(text.splitlines()):  # the first one stays, for what the page asks it
                    stop(server)
                    server, port = serve(line, folder, environment)
                continue
            if block.language == "python":
                script = folder / f"block-{number}.py"
                script.write_text(text)
                command = [sys.executable, script.name]
            else:
                command = ["bash", "-euo", "pipefail", "-c", text]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
            told = f"{block}: {done.returncode}\n{text}\n{done.stdout}\n{done.stderr}"
            assert done.returncode in block.codes, told
    finally:
        stop(server)


def serve(command, folder, environment):
    """The server of ``lucidbox serve …`` on a free port, and the port, once it answers."""
    words = [sys.executable, "-m", *re.split(r"\s+#", command)[0].split(), "--port", "0", "--quiet"]
    server = subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in server.stderr:
        lines.append(line)
        if address := re.search(r"http://[\w.]+:(\d+)", line):
            port = address[1]
            break
    else:
        raise AssertionError("".join(lines))
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=60)
        except OSError:
            time.sleep(0.1)
        else:
            return server, port


def stop(server):
    """End a server, if there is one."""
    if server:
        server.terminate()
        server.wait(60)
        server.stderr.close()
