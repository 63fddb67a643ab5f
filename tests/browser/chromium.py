"""Which Chromium the browser tests use."""

import shutil
import sys
from functools import cache
from pathlib import Path

HOW_TO_GET_IT = f"{sys.executable} -m pip install playwright && {sys.executable} -m playwright install chromium"


@cache
def find_chromium() -> str | None:
    """The path of Playwright's own Chromium, else of one on the PATH; None if there is neither, or no Playwright."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    installed = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    return own if Path(own).exists() else next(filter(None, installed), None)
