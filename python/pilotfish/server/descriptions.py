"""What each setting means, taken from the docstring under it so that it is written once."""

import ast
from functools import cache
from pathlib import Path

from pilotfish.server import settings


@cache
def descriptions() -> dict[str, str]:
    """Return the text of each setting by its full name, such as `data.socket_path`."""
    tree = ast.parse(Path(settings.__file__).read_text("utf-8"))
    texts: dict[str, dict[str, str]] = {}
    for section in tree.body:
        if isinstance(section, ast.ClassDef):
            found = texts.setdefault(section.name, {})
            for field, text in zip(section.body, section.body[1:], strict=False):
                match field, text:
                    case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                        found[name] = " ".join(docstring.split())
    sections = settings.Settings.__struct_fields__
    kinds = {name: type(getattr(settings.Settings(), name)).__name__ for name in sections}
    return {f"{name}.{key}": text for name in sections for key, text in texts[kinds[name]].items()}
