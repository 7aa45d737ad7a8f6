"""Which proxy the environment names for an address.

Not aiohttp's `trust_env`, which reads ~/.netrc as well and then refuses to send a token.
"""

from urllib.request import getproxies, proxy_bypass

from yarl import URL

from sizeup.errors import UsageError


def proxy_for(url: URL) -> URL | None:
    """Return the proxy of HTTP_PROXY or HTTPS_PROXY unless NO_PROXY has the host; else None.

    Raises UsageError for what is not an address: it would be found out much later.
    """
    named = getproxies().get(url.scheme)
    if not named or proxy_bypass(url.host or ""):
        return None
    try:
        proxy = URL(named if "://" in named else f"http://{named}")
    except ValueError:
        proxy = URL()
    if proxy.scheme not in ("http", "https") or not proxy.host:
        raise UsageError(f"the proxy for {url.scheme} addresses is not an http address")
    return proxy
