"""Where a bucket is: the host, the path in front of keys, and the region that requests are signed for."""

from __future__ import annotations

from dataclasses import dataclass

from yarl import URL

from sluicegate.providers.s3.settings import Settings

DEFAULT_REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Target:
    """One bucket's address.

    `host`: as in the Host header, with the port when it is not the scheme's own. `base`: "" or "/bucket".
    """

    scheme: str
    host: str
    base: str
    region: str

    def url(self, path: str, query: str) -> URL:
        """A URL that goes out exactly as signed: yarl would collapse `..` and decode what it need not."""
        return URL(f"{self.scheme}://{self.host}{path}{'?' if query else ''}{query}", encoded=True)


def target_of(settings: Settings, region: str | None = None) -> Target:
    """The bucket's address; `region` overrides the settings', once the server told the right one.

    At AWS the bucket is a part of the host name, except where a dot in it would break the TLS certificate; custom
    endpoints take it in the path, which all S3-compatible servers do.
    """
    chosen = region or settings.region_name or DEFAULT_REGION
    bucket = settings.bucket
    if settings.s3_endpoint:
        url = URL(settings.s3_endpoint)
        return Target(url.scheme, url.host_port_subcomponent or "", f"/{bucket}", chosen)
    host = f"s3.{chosen}.amazonaws.com{'.cn' if chosen.startswith('cn-') else ''}"
    if "." in bucket or not bucket.islower() or "_" in bucket:
        return Target("https", host, f"/{bucket}", chosen)
    return Target("https", f"{bucket}.{host}", "", chosen)
