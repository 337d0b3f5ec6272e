"""What each setting means, taken from the docstring under it so that it is written once."""

import ast
import inspect
import textwrap
from functools import cache

from pilotfish.server.settings import Settings


@cache
def descriptions() -> dict[str, str]:
    """Return the text of each setting by its full name, such as `data.socket_path`."""
    found: dict[str, str] = {}
    for section in Settings.__struct_fields__:
        kind = type(getattr(Settings(), section))
        texts: dict[str, str] = {}
        for base in reversed(kind.__mro__):
            texts |= _texts(base) if base.__module__.startswith("pilotfish.") else {}
        found |= {f"{section}.{key}": texts[key] for key in kind.__struct_fields__ if key in texts}
    return found


def _texts(kind: type) -> dict[str, str]:
    (section,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(section, ast.ClassDef)  # noqa: S101  what the source of a class is
    texts: dict[str, str] = {}
    for field, text in zip(section.body, section.body[1:], strict=False):
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(docstring))):
                texts[name] = " ".join(docstring.split())
    return texts
