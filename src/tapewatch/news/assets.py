"""Which assets a title speaks of: better one too few than one that it does not mean.

    Bitcoin, BTC            by name or ticker, as whole words, with capitals as they are written
    $near, $BTC             with a dollar sign in any case
    NEAR/USDT, (NEAR)       a pair, or alone in brackets
    NEAR, Near token        what is a word as well: in capitals, or beside a word of the trade

"Near the top", "one more day", "the sun sets" and a title that shouts name nothing.
"""

import re

from tapewatch.news._coins import DOUBTFUL, NAMES, TICKERS

_PAIR = re.compile(
    r"(?<!\w)(?:([A-Z0-9]{1,10})[/-](?:USDT|USDC|USD|BTC|ETH|EUR|PERP)"
    r"|([A-Z0-9]{2,10})(?:USDT|USDC|USD))(?!\w)"
)
_CASHTAG = re.compile(r"(?<![\w$])\$([A-Za-z][A-Za-z0-9]{0,9})(?!\w)")
_ALONE = re.compile(r"\(\s*\$?([A-Z0-9]{1,10})\s*\)")
# Longest first, so that "Ethereum Classic" is not Ethereum and "Bitcoin Cash" not Bitcoin.
_NAMED = re.compile(
    r"(?<![\w$.])(?!(?<=/)USD)("  # the quote of a pair is no subject
    + "|".join(re.escape(name) for name in sorted(NAMES, key=len, reverse=True))
    + r")(?!\w|[./]\w)"
)
# Headlines In Title Case write "Near Price Floor": only these words make a coin of such a name.
_OF_A_COIN = re.compile(
    r"(?:['\u2019]s)?\s+(?:native\s+)?(?:tokens?|coins?|protocol|network|blockchain|mainnet|testnet"
    r"|foundation|labs|ecosystem|airdrop|validators?|stak(?:ers|ing)|etfs?)\b",
    re.IGNORECASE,
)
_EMPHASIS = frozenset({"WIN", "ONE", "SUN", "GAS", "TRUMP", "PUMP", "FLOW", "DASH", "SAND", "APE"})
_WORD = re.compile(r"[A-Za-z]{2,}")


def assets_in(title: str) -> tuple[str, ...]:
    """Give tickers in the order in which the title names them, each once."""
    found = [(match.start(), match[1].upper()) for match in _CASHTAG.finditer(title)]
    found += [(match.start(), match[1]) for match in _ALONE.finditer(title)]
    found += [(match.start(), match[1] or match[2]) for match in _PAIR.finditer(title)]
    is_calm = not _shouts(title)
    found += [
        (match.start(), NAMES[match[1]])
        for match in _NAMED.finditer(title)
        if match[1] not in DOUBTFUL or _has_evidence(match, title, is_calm=is_calm)
    ]
    return tuple(dict.fromkeys(ticker for _, ticker in sorted(found) if ticker in TICKERS))


def _has_evidence(match: re.Match[str], title: str, *, is_calm: bool) -> bool:
    word = match[1]
    if word in _EMPHASIS or not is_calm:
        return False  # "this ONE coin": a dollar sign, brackets or a pair have to say it
    # Capitals alone are enough where they are long enough to be no abbreviation.
    return (word.isupper() and len(word) > 2) or bool(_OF_A_COIN.match(title, match.end()))


def _shouts(title: str) -> bool:
    """Say whether most words are in capitals, leaving tickers aside: then capitals say nothing."""
    words = [word for word in _WORD.findall(title) if word not in NAMES]
    return sum(map(str.isupper, words)) * 2 > len(words)
