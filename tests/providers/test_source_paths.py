"""Which keys a public source path means, and which paths are refused."""

from __future__ import annotations

from typing import Any

import pytest

from sluicegate.core.errors import InvalidError
from sluicegate.providers import registry
from sluicegate.providers.base import ProviderType

Package = Any


def package(kind: str) -> Package:
    return registry.spec(ProviderType(kind)).load()


S3 = {"bucket": "media", "prefix": "raw/"}
S3_ALL = {"bucket": "media", "prefix": ""}
LOCAL = {"path": "media/raw"}
LOCAL_ALL = {"path": ""}


@pytest.mark.parametrize(
    ("kind", "settings", "path", "expected"),
    [
        ("S3", S3_ALL, "media", b""),
        ("S3", S3_ALL, "media/", b""),
        ("S3", {"bucket": "media"}, "media", b""),
        ("S3", S3_ALL, "media/videos", b"videos/"),
        ("S3", S3_ALL, "media/videos*", b"videos"),
        ("S3", S3_ALL, "media/*", b""),
        ("S3", S3_ALL, "media/videos/*", b"videos/"),
        ("S3", S3_ALL, "media/a*b", b"a*b/"),
        ("S3", {"bucket": "media", "prefix": "raw/IMG_"}, "media/raw/IMG_", b"raw/IMG_"),
        ("S3", {"bucket": "media", "prefix": "raw/IMG_"}, "media/raw/IMG_2024", b"raw/IMG_2024/"),
        ("S3", S3_ALL, "media/videos/", b"videos/"),
        ("S3", S3_ALL, "media//videos/./x", b"/videos/./x/"),  # a key is text, not a path
        ("S3", S3_ALL, "media/a..b/%2F +\u00e9\U0001f600", "a..b/%2F +\u00e9\U0001f600/".encode()),
        ("S3", S3, "media/raw/", b"raw/"),
        ("S3", S3, "media/raw/2024", b"raw/2024/"),
        ("S3", S3, "media/raw", b"raw/"),
        ("S3", S3_ALL, "media/" + "k" * 1018, b"k" * 1018 + b"/"),
        ("LOCAL", LOCAL_ALL, "", b""),
        ("LOCAL", LOCAL_ALL, "a/b", b"a/b/"),
        ("LOCAL", LOCAL, "media/raw", b""),
        ("LOCAL", LOCAL, "media/raw/", b""),
        ("LOCAL", LOCAL, "media//raw/./x y/\u00e9/", "x y/\u00e9/".encode()),
    ],
)
def test_a_source_path_is_the_start_of_keys(kind: str, settings: dict[str, str], path: str, expected: bytes) -> None:
    assert package(kind).source_range(settings, path) == expected


@pytest.mark.parametrize("settings", [S3, S3_ALL, {"bucket": "media"}])
def test_a_bucket_s_own_path_means_all_of_it(settings: dict[str, str]) -> None:
    path = package("S3").display_path(settings)
    assert package("S3").source_range(settings, path) == settings.get("prefix", "").encode()


@pytest.mark.parametrize("settings", [LOCAL, LOCAL_ALL])
def test_a_folder_s_own_path_means_all_of_it(settings: dict[str, str]) -> None:
    assert package("LOCAL").source_range(settings, package("LOCAL").display_path(settings)) == b""


@pytest.mark.parametrize(
    ("kind", "settings", "path", "message"),
    [
        ("S3", S3_ALL, "", "another bucket"),
        ("S3", S3_ALL, "/media", "another bucket"),
        ("S3", S3_ALL, "s3://media/x", "another bucket"),
        ("S3", S3_ALL, "mediathek/x", "another bucket"),
        ("S3", S3, "media", "outside"),
        ("S3", S3, "media/raw*", "outside"),
        ("S3", S3, "media/rawest/", "outside"),
        ("S3", S3, "media/raw/../secret", "upwards"),
        ("S3", S3_ALL, "media/..", "upwards"),
        ("S3", S3_ALL, "media/a\nb", "control"),
        ("S3", S3_ALL, "media/a\x00", "control"),
        ("S3", S3_ALL, "media/a\x7f", "control"),
        ("S3", S3_ALL, "media/a\x85", "control"),
        ("S3", S3_ALL, "media/\ud800", "surrogate"),
        ("S3", S3_ALL, "media/" + "k" * 1019, "1,025 bytes"),
        ("S3", S3_ALL, "media/" + "\u00e9" * 510, "1,026 bytes"),
        ("LOCAL", LOCAL, "", "outside"),
        ("LOCAL", LOCAL, "media", "outside"),
        ("LOCAL", LOCAL, "media/rawest", "outside"),
        ("LOCAL", LOCAL, "/media/raw", "outside"),
        ("LOCAL", LOCAL_ALL, "/etc", "outside"),
        ("LOCAL", LOCAL, "media/raw/../../x", "upwards"),
        ("LOCAL", LOCAL_ALL, "a\x00b", "control"),
        ("LOCAL", LOCAL_ALL, "\udce9", "surrogate"),
        ("LOCAL", LOCAL_ALL, "k" * 1025, "1,025 bytes"),
    ],
)
def test_what_is_no_part_of_the_storage_is_refused(
    kind: str, settings: dict[str, str], path: str, message: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        package(kind).source_range(settings, path)
    assert message in caught.value.message
    assert caught.value.path == ("sourcePath",)
    assert (settings.get("path") or settings.get("bucket") or "below") in (caught.value.hint or "")
