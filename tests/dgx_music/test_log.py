from __future__ import annotations

import logging

import pytest

from dgx_music.log import set_up_logging


@pytest.fixture
def root():
    logger = logging.getLogger()
    before, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = before
    logger.setLevel(level)


def test_a_fact_is_one_line_also_with_a_traceback(root, capsys):
    set_up_logging("info", {})
    try:
        int("two\nlines")
    except ValueError:
        root.exception("it broke")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "it broke" in said
    assert "ValueError: invalid literal" in said


def test_journald_gets_the_priority_in_front(root, capsys):
    set_up_logging("info", {"JOURNAL_STREAM": "8:1"})
    root.warning("disk is filling")
    root.info("ready")
    root.debug("not asked for")
    assert capsys.readouterr().err == "<4>WARNING root: disk is filling\n<6>INFO root: ready\n"
