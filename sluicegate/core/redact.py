"""Takes out of a text whatever looks like a secret: the last net, behind code that does not put one there."""

from __future__ import annotations

import re

MARK = "[redacted]"

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Our API keys.
    (re.compile(r"\bsg_[\w-]{16,}"), f"sg_{MARK}"),
    # The secrets that webhooks are signed with.
    (re.compile(r"\bwhsec_[\w+/-]{16,}={0,2}"), f"whsec_{MARK}"),
    # What follows the scheme of an Authorization header.
    (re.compile(r"(?i)\b(bearer|token|basic)(\s+)(?=[\w.~+/=-]*\d)[\w.~+/=-]{12,}"), rf"\1\2{MARK}"),
    # Parameters that sign or open an address: AWS (X-Amz-…, v2), ours, OAuth's, SAS of Azure.
    (
        re.compile(
            r"(?i)([?&;#]|\b)((?:x-amz-(?:signature|credential|security-token)|awsaccesskeyid|signature|sig|key|token"
            r"|access_token|refresh_token|client_secret|password|secret)=)[^&\s\"'<>#]+"
        ),
        rf"\1\2{MARK}",
    ),
    # A password in an address.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)"), rf"\1{MARK}"),
    # Sealed secrets and the keys that seal them: Fernet's tokens and keys.
    (re.compile(r"\bgAAAA[\w-]{40,}={0,2}"), MARK),
    (re.compile(r"(?<![\w+/=-])[\w-]{43}=(?![\w+/=-])"), MARK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), MARK),
    # An AWS secret access key: 40 characters of base64, which a SHA-1 in hex or a path of plain words is not.
    (
        re.compile(
            r"(?<![\w+/=.-])(?=[A-Za-z0-9+/]{0,39}[A-Z])(?=[A-Za-z0-9+/]{0,39}[a-z])(?=[A-Za-z0-9+/]{0,39}\d)"
            r"[A-Za-z0-9+/]{40}(?![\w+/=.-])"
        ),
        MARK,
    ),
)

_SECRET_NAMES = re.compile(
    r"(?i)authorization|cookie|password|passphrase|secret|token|credential|private.?key|api.?key"
)


def redact(text: str) -> str:
    """The text with each secret replaced by `[redacted]`. A net has holes: no reason to let a secret come so far."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def is_secret_name(name: str) -> bool:
    """Whether what a field of this name holds should not be shown, whatever it is."""
    return _SECRET_NAMES.search(name) is not None
