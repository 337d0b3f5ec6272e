"""Reads the settings: flags, then environment, then file, then defaults. Nothing else reads any of the three.

All faults are reported together. An unknown key or PILOTFISH_ name is one: a setting that is silently ignored is worse
than a start that is refused.
"""

import os
import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import msgspec
import yaml

from pilotfish.client.target import MAX_SOCKET_PATH_BYTES, TARGET_VARIABLE
from pilotfish.codes import Signal
from pilotfish.exceptions import InvalidInputError
from pilotfish.rewards import RewardFunction
from pilotfish.server.settings import CONTROL_SOCKET_NAME, Settings

PREFIX: Final = "PILOTFISH_"
FILE_VARIABLE: Final = "PILOTFISH_CONFIG"
OTHER_VARIABLES: Final = frozenset({FILE_VARIABLE, TARGET_VARIABLE})
"""Names with our prefix that are no settings."""
MAX_SALT_BYTES: Final = 64

FIELDS: Final = {
    f"{section.name}.{field.name}": field
    for section in msgspec.structs.fields(Settings)
    for field in msgspec.structs.fields(section.type)
}
"""Each setting by its full name, such as `data.socket_path`, in declared order."""

_SERVICE_LINK: Final = re.compile(r"(.+?)_(?:SERVICE_HOST|SERVICE_PORT(?:_.+)?|PORT(?:_\d+_[A-Z]+(?:_[A-Z]+)?)?)")


class ConfigurationError(InvalidInputError):
    """At least one setting is wrong.

    Args:
        faults: Each fault: name, value, where it came from, rule.
    """

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class Configuration(msgspec.Struct, frozen=True):
    """The effective settings and where each came from."""

    settings: Settings
    origins: dict[str, str]
    """By full name: `flag --…`, `environment PILOTFISH_…`, `file …` or `default`."""

    def is_default(self, *names: str) -> bool:
        """Return whether nobody set any of these."""
        return all(self.origins[name] == "default" for name in names)

    def values(self) -> dict[str, object]:
        """Return each effective value by full name, in plain types. None of the settings is a secret."""
        nested = msgspec.to_builtins(self.settings, enc_hook=str)
        return {name: nested[name.split(".")[0]][name.split(".")[1]] for name in FIELDS}


def flag_name(name: str) -> str:
    """Return the flag of a setting: `--data-socket-path`."""
    return "--" + name.replace(".", "-").replace("_", "-")


def variable_name(name: str) -> str:
    """Return the environment variable of a setting: `PILOTFISH_DATA__SOCKET_PATH`."""
    return PREFIX + name.replace(".", "__").upper()


def load(  # noqa: C901  one step after the other
    flags: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None, file: Path | None = None
) -> Configuration:
    """Return the effective settings.

    Args:
        flags: Texts by full name.
        environ: The environment; None: the process's.
        file: YAML. None: the one that PILOTFISH_CONFIG names, if any.

    Raises:
        ConfigurationError: It holds every fault there is.
    """
    environ = os.environ if environ is None else environ
    if file is None and environ.get(FILE_VARIABLE):
        file = Path(environ[FILE_VARIABLE])
    faults: list[str] = []
    written = _read_file(file, faults) if file is not None else {}
    faults.extend(_unknown_variables(environ))

    converted: dict[str, dict[str, object]] = {}
    origins = dict.fromkeys(FIELDS, "default")
    for name, field in FIELDS.items():
        value: object
        if flags is not None and name in flags:
            value, origins[name] = flags[name], f"flag {flag_name(name)}"
        elif (variable := variable_name(name)) in environ:
            value, origins[name] = environ[variable], f"environment {variable}"
        elif name in written:
            value, origins[name] = written[name], f"file {file}"
        else:
            continue
        section, key = name.split(".")
        try:
            converted.setdefault(section, {})[key] = _convert(value, field.type)
        except (msgspec.ValidationError, yaml.YAMLError) as error:
            faults.append(f"{name} == {_shown(value)} ({origins[name]}), {_rule(error, field.type)}")

    sections = {section.name: section.type for section in msgspec.structs.fields(Settings)}
    built: dict[str, Any] = {}
    for section, values in converted.items():
        try:
            built[section] = sections[section](**values)
        except InvalidInputError as error:  # a rule between the keys of one section; the message begins with a key
            key = re.split(r"\W", str(error), maxsplit=1)[0]
            faults.append(f"{section}.{error} ({origins[f'{section}.{key}']})")
    settings = Settings(**built)
    if origins["control.socket_path"] == "default":
        beside = settings.data.socket_path.with_name(CONTROL_SOCKET_NAME)
        settings = msgspec.structs.replace(settings, control=sections["control"](socket_path=beside))
    faults.extend(f"{fault} ({origins[fault.split(' ')[0]]})" for fault in _broken_rules(settings))
    if faults:
        raise ConfigurationError(faults)
    return Configuration(settings, origins)


def reward_function(settings: Settings) -> RewardFunction:
    """Return the configured reward function.

    Raises:
        InvalidInputError: A weight, half value, window or default breaks its rule; the message begins with its name.
    """
    rewards = settings.rewards
    weights, half_values, windows_s, defaults = (
        {Signal[name.upper()]: value for name, value in values.items()}
        for values in (rewards.weights, rewards.half_values, rewards.windows_s, rewards.defaults)
    )
    return RewardFunction(weights or None, half_values, windows_s, defaults)


def nearest(name: str, known: Iterator[str] | list[str]) -> str:
    """Return a hint at the valid name that is most like this one."""
    from difflib import get_close_matches  # noqa: PLC0415  only a faulty start pays for it

    matches = get_close_matches(name, list(known), n=1, cutoff=0.0)
    return f"nearest valid name: {matches[0]}"


_STRUCTURED: Final = ("dict[", "tuple[", "Settings", "None")
"""Parts of a type's name by which a text is read as YAML: it holds more than one value, or none."""


def _convert(value: object, kind: Any) -> object:  # noqa: ANN401  a type, as annotated
    if isinstance(value, str) and any(word in str(kind) for word in _STRUCTURED):
        value = yaml.load(value, Loader=PlainLoader)  # noqa: S506  PlainLoader is a SafeLoader
    return msgspec.convert(value, kind, strict=False, dec_hook=_path)


def _path(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str) and value:
        return Path(value).expanduser().absolute()
    raise msgspec.ValidationError("must be the path of a file or directory")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."  # noqa: PLR2004  one line of a terminal


def _rule(error: Exception, kind: Any) -> str:  # noqa: ANN401  a type, as annotated
    if get_origin(kind) is Literal:
        return f"must be one of {', '.join(get_args(kind))}"
    text = " ".join(str(error).split())
    if text.startswith("Object contains unknown field"):
        return text.replace("Object contains unknown field", "must not hold the unknown key")
    if ", must " in text:  # ours, which names key and value
        return text
    return "must be " + text.removeprefix("Expected ").removeprefix("must be ")


# -- the file ----------------------------------------------------------------------------------------------------------


class PlainLoader(yaml.SafeLoader):
    """YAML whose only booleans are true and false and whose numbers are decimal.

    PyYAML's default reads `mode: off` as false and `socket_mode: 0660` as 432, and takes the last of two equal keys.
    """

    yaml_implicit_resolvers: Final = {}  # type: ignore[misc]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  PyYAML's
        """Refuse a key that occurs twice."""
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} occurs twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


for tag, pattern, first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"[-+]?(0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    PlainLoader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))


def _read_file(path: Path, faults: list[str]) -> dict[str, object]:
    try:
        content = yaml.load(path.read_text("utf-8"), Loader=PlainLoader)  # noqa: S506  PlainLoader is a SafeLoader
    except OSError as error:
        faults.append(f"configuration file == {path}, must be readable: {error.strerror}")
        return {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        faults.append(f"configuration file == {path}, must be YAML: {' '.join(str(error).split())}")
        return {}
    known = [*FIELDS, *(section.name for section in msgspec.structs.fields(Settings))]
    found: dict[str, object] = {}
    if not isinstance(content, dict | None):
        faults.append(f"configuration file == {path}, must hold sections, such as `data:`")
        return {}
    for section, keys in (content or {}).items():
        if section not in known or "." in str(section):
            faults.append(f"{section} (file {path}), must be a known section; {nearest(str(section), known)}")
        elif not isinstance(keys, dict | None):
            faults.append(f"{section} == {_shown(keys)} (file {path}), must be a section with keys")
        else:
            for key, value in (keys or {}).items():
                name = f"{section}.{key}"
                if name in FIELDS:
                    found[name] = value
                else:
                    faults.append(f"{name} (file {path}), must be a known setting; {nearest(name, known)}")
    return found


# -- the environment ---------------------------------------------------------------------------------------------------


def _unknown_variables(environ: Mapping[str, str]) -> Iterator[str]:
    known = {variable_name(name) for name in FIELDS} | OTHER_VARIABLES
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in known and not _is_service_link(variable, environ):
            yield f"{variable} (environment), must be a known setting; {nearest(variable, sorted(known))}"


def _is_service_link(variable: str, environ: Mapping[str, str]) -> bool:
    # Kubernetes describes each Service to each pod of its namespace: one called "pilotfish" sets
    # PILOTFISH_SERVICE_HOST, PILOTFISH_PORT and more, always together: a misspelt setting is not mistaken for one.
    link = _SERVICE_LINK.fullmatch(variable)
    return link is not None and f"{link[1]}_SERVICE_HOST" in environ


# -- rules between settings --------------------------------------------------------------------------------------------


def _broken_rules(settings: Settings) -> Iterator[str]:
    for name, path in (
        ("data.socket_path", settings.data.socket_path),
        ("control.socket_path", settings.control.socket_path),
    ):
        if (length := len(os.fsencode(path))) > MAX_SOCKET_PATH_BYTES:
            yield f"{name} == {path} ({length} bytes), must be at most {MAX_SOCKET_PATH_BYTES} bytes"
    if settings.control.socket_path == settings.data.socket_path:
        yield f"control.socket_path == {settings.control.socket_path}, must not be the data socket"
    if address := settings.data.tcp_address:
        host, _, port = address.rpartition(":")
        if not (_is_loopback(host.strip("[]")) and port.isdecimal() and 0 < int(port) <= 65535):  # noqa: PLR2004
            yield f"data.tcp_address == {address}, must be loopback:port; whoever reaches it may call"
    management = settings.management
    if management.health_port and management.health_port == management.metrics_port:
        yield f"management.metrics_port == {management.metrics_port}, must not be the health port"
    if len(settings.policy.rollout_salt.encode()) > MAX_SALT_BYTES:
        yield f"policy.rollout_salt == {_shown(settings.policy.rollout_salt)}, must be at most {MAX_SALT_BYTES} bytes"
    try:
        rewards = reward_function(settings)
    except InvalidInputError as error:
        name = re.split(r"\W", str(error), maxsplit=1)[0]
        yield f"rewards.{name} == {_shown(getattr(settings.rewards, name))}, {error}"
        return
    yield from filter(None, (_fault_of_policy(settings, rewards), _fault_of_rules(settings)))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _fault_of_rules(settings: Settings) -> str:
    if not settings.safety.rules:
        return ""
    from pilotfish.safety.legal_set import Legality  # noqa: PLC0415  the defaults need no check

    try:
        Legality(settings.safety.constraints())
    except InvalidInputError as error:
        return f"safety.rules == {_shown(settings.safety.rules)}, {error}"
    return ""


def _fault_of_policy(settings: Settings, rewards: RewardFunction) -> str:
    policy = settings.policy
    changed = [name for name in ("encoder", "learner", "explorer") if getattr(policy, name)]
    if not changed:
        return ""
    # The core knows its own rules; it is asked rather than copied.
    from pilotfish._core import Model  # noqa: PLC0415  the defaults need no check
    from pilotfish.engine.specification import model_specification  # noqa: PLC0415

    try:
        Model(model_specification(rewards, policy.encoder, policy.learner, policy.explorer))
    except InvalidInputError as error:
        part = str(error).split(".", 1)[0]
        return f"policy.{part if part in changed else changed[0]} is refused by the core: {error}"
    return ""
