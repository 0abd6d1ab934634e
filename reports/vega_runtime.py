"""The JavaScript that draws the pictures, as it stands inside a page: Vega, Vega-Lite and Vega-Embed."""

from __future__ import annotations

from functools import cache


@cache
def vega_runtime() -> str:
    """The libraries in one script that sets `window.vegaEmbed`; about 900 KB, the same bytes for one version of
    vl-convert."""
    import vl_convert  # noqa: PLC0415 - only a page with pictures needs it

    script: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    return script
