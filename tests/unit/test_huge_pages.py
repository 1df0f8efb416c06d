"""Huge pages: asked for where memory is in use, and nowhere else."""

import sys
from pathlib import Path

import pytest

from orderhouse.assembly import huge_pages
from orderhouse.assembly.huge_pages import HUGE


def _mapping(begin: int, end: int, rss_kb: int, *, rights: str = "rw-p", inode: int = 0, name: str = "") -> list[str]:
    return [
        f"{begin:x}-{end:x} {rights} 00000000 00:00 {inode} {name}",
        f"Size: {(end - begin) // 1024} kB",
        f"Rss: {rss_kb} kB",
        "Pss: 4 kB",
        "VmFlags: rd wr mr mw me ac sd",
    ]


def found(*mappings: list[str]) -> list[tuple[int, int]]:
    return list(huge_pages._in_use(line for mapping in mappings for line in mapping))


def test_whole_huge_pages_of_what_is_in_use_are_asked_for() -> None:
    heap = _mapping(HUGE - 4096, 4 * HUGE + 4096, 6 * 1024, name="[heap]")
    arena = _mapping(10 * HUGE, 11 * HUGE, 2048)
    assert found(heap, arena) == [(HUGE, 4 * HUGE), (10 * HUGE, 11 * HUGE)]


def test_what_is_small_shared_hardly_used_or_of_a_file_is_left_alone() -> None:
    assert (
        found(
            _mapping(HUGE + 4096, 2 * HUGE + 4096, 2048),
            _mapping(0, 4 * HUGE, 64, name=""),
            _mapping(0, 4 * HUGE, 8192, rights="rw-s"),
            _mapping(0, 4 * HUGE, 8192, rights="r--p"),
            _mapping(0, 4 * HUGE, 8192, inode=7, name="/usr/lib/libduck.so"),
            _mapping(0, 4 * HUGE, 8192, name="[stack]"),
        )
        == []
    )


def test_what_is_in_use_comes_to_be_in_huge_pages_where_there_are_any() -> None:
    grown = [bytes(1000) for _ in range(64_000)]
    assert (huge_pages.ask() >= HUGE) == _there_are()
    assert grown[0] == grown[-1] == bytes(1000)


def _there_are() -> bool:
    """Whether this kernel gives them at once: Linux since 6.1, unless somebody said never."""
    if sys.platform != "linux" or not huge_pages.ENABLED.exists() or "[never]" in huge_pages.ENABLED.read_text():
        return False
    major, minor = Path("/proc/sys/kernel/osrelease").read_text().split(".")[:2]
    return (int(major), int(minor)) >= (6, 1)


@pytest.mark.parametrize("said", ["always madvise [never]", None])
def test_nothing_is_asked_where_an_administrator_said_never(
    said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huge_pages, "ENABLED", tmp_path / "enabled")
    if said:
        huge_pages.ENABLED.write_text(said)
    assert huge_pages.ask() == 0


def test_nothing_is_asked_where_a_sandbox_hides_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huge_pages, "SMAPS", tmp_path / "smaps")
    assert huge_pages.ask() == 0
