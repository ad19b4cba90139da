"""Pages from templates: text in place of `{{name}}`."""

import json
import re
from collections.abc import Mapping
from typing import Any


def page_of(template: str, texts: Mapping[str, str]) -> str:
    """The template with its texts, which are not looked into."""
    return re.sub(r"\{\{([a-z-]+)\}\}", lambda match: texts[match[1]], template)


def json_text(content: Any) -> str:
    """JSON for a <script> element, escaped so that no name in it can end the element."""
    return json.dumps(content).replace("<", "\\u003c")
