"""Jinja in a sandbox that also limits the CPU time and memory of a template."""

from __future__ import annotations

import difflib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from decimal import Decimal
from types import CodeType
from typing import Any

from jinja2 import StrictUndefined, Template, Undefined, nodes, pass_context, pass_environment
from jinja2.filters import FILTERS as DEFAULT_FILTERS
from jinja2.filters import make_attrgetter
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS as DEFAULT_TESTS
from jinja2.visitor import NodeTransformer

from airflow_provider_pushmetrics.service.templates.budget import (
    CONTAINERS,
    LONG_NUMBER,
    MAX_BITS,
    MAX_LEVELS,
    MAX_SOURCE_LENGTH,
    BlockTemplateError,
    Budget,
    check_brace_format,
    check_growth,
    check_percent_format,
    check_width,
)
from airflow_provider_pushmetrics.service.templates.values import Identifier, InClause, write_json

WEIGHT_PER_STEP = 64
QUICK_FILTERS = frozenset({"count", "d", "default", "first", "last", "length"})
"""Filters that take the same time for values of any size."""
WIDENING_FILTERS = frozenset(
    {"batch", "center", "indent", "round", "slice", "tojson", "truncate", "wordwrap"}
)
SLOW_FILTERS = frozenset({"pprint", "striptags", "urlize", "wordwrap"})
"""Filters whose time grows with the square of the length."""
MAX_SLOW_LENGTH = 20_000
TEXT_FILTERS = frozenset(
    {"capitalize", "center", "indent", "lower", "replace", "string", "title", "trim", "upper", "wordcount"}
)
"""Filters that make a text of any value."""
PLAIN_VALUES = (type(None), bool, int, float, Decimal, date, time, bytes, list, tuple, dict)

# fmt: off
TEXT_METHODS = frozenset(
    {
        "capitalize", "casefold", "center", "count", "decode", "encode", "endswith", "expandtabs", "find",
        "format", "index", "isalnum", "isalpha", "isascii", "isdecimal", "isdigit", "isidentifier", "islower",
        "isnumeric", "isprintable", "isspace", "istitle", "isupper", "join", "ljust", "lower", "lstrip",
        "partition", "removeprefix", "removesuffix", "replace", "rfind", "rindex", "rjust", "rpartition",
        "rsplit", "rstrip", "split", "splitlines", "startswith", "strip", "swapcase", "title", "upper",
        "zfill",
    }
)
# fmt: on
JINJAS_ARGUMENTS = ("_loop_vars", "_block_vars")
"""Arguments that compiled templates add to calls in loops and blocks."""
STEPS_OF_A_CALL = 2
NUMBER_METHODS = frozenset({"bit_count", "bit_length", "is_integer"})
WIDENING_METHODS = frozenset({"center", "expandtabs", "ljust", "rjust", "zfill"})
CODINGS = frozenset({"utf-8", "utf8", "ascii", "latin-1", "strict", "replace", "ignore"})
"""Other encodings take time that grows with the square of the length."""


def _match_numbers(left: Any, right: Any) -> tuple[Any, Any]:
    """Convert a float beside a decimal to a decimal, as Python does not mix them."""
    if isinstance(left, Decimal) and isinstance(right, float):
        return left, Decimal(repr(right))
    if isinstance(left, float) and isinstance(right, Decimal):
        return Decimal(repr(left)), right
    return left, right


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """
    An environment for one rendering, limited by a :class:`Budget`.

    :param finalize: Called with the value of each ``{{ … }}``; it must count what it writes.
    :param write_value: Writes a value that is not a text, where a template makes a text of it: ``~``,
        ``| join``, ``| string`` and other filters of texts.
    """

    intercepted_binops = frozenset(ImmutableSandboxedEnvironment.default_binop_table)

    def __init__(
        self, budget: Budget, finalize: Callable[[Any], str], write_value: Callable[[Any], str] = str
    ) -> None:
        # With the context as argument, Jinja does not call it while it compiles, as compiled code is cached.
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            finalize=pass_context(lambda context, value: finalize(_refuse_method(value))),
        )
        self.policies |= {"json.dumps_function": write_json, "json.dumps_kwargs": {}}
        self.budget = budget
        self._write_value = write_value
        del self.globals["lipsum"]
        self.filters, self.tests = dict(FILTERS), dict(TESTS)

    def load(self, source: str) -> Template:
        """
        Load a template that counts its steps.

        :raises TemplateError: if it is not a template.
        """
        code = _compile_small(source) if len(source) <= MAX_CACHED_LENGTH else _compile(source)
        return Template.from_code(self, code, self.globals)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """Prefer a column to a method of the row: it may be called ``items`` or ``values``."""
        is_column = isinstance(obj, dict) and attribute in obj
        return obj[attribute] if is_column else super().getattr(obj, attribute)

    def count(self, characters: int) -> bool:
        """Count an iteration of a loop or a call, and the text that it writes."""
        return self.budget.step() and self.budget.write(characters)

    def check(self, value: Any) -> Any:
        """Check the size of a value, and return it."""
        self.budget.weigh(value)
        return value

    def join_texts(self, *values: Any) -> str:
        """Implement ``~``."""
        self.budget.step()
        for value in values:
            self.budget.weigh(value)
        return str(self.check("".join(map(self.write_text, values))))

    def write_text(self, value: Any) -> str:
        """Write a value as text; what is undefined raises an error."""
        return self._write_value(value) if isinstance(value, PLAIN_VALUES) else str(value)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function of a template; an argument may be named ``self``."""
        if getattr(__obj, "__self__", None) is __self:
            return __obj(*args)  # one of the methods above, which do not need Jinja's own arguments
        given = {name: value for name, value in kwargs.items() if name not in JINJAS_ARGUMENTS}
        __self.budget.step(STEPS_OF_A_CALL)
        args = __self.prepare(args, given)
        method = getattr(__obj, "__wrapped__", __obj)  # the sandbox wraps str.format
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        options = [*args, *given.values()]
        if isinstance(owner, str | bytes):
            _check_text_method(owner, name, options, __self.budget.weigh(options))
        elif isinstance(owner, int) and name not in NUMBER_METHODS:
            raise BlockTemplateError(f"templates cannot call {name!r} on numbers.")
        elif name == "strftime" and any(LONG_NUMBER.search(str(one)) for one in options):
            raise BlockTemplateError("the template's format has a width of more than 3 digits.")
        return __self.check(super().call(__context, __obj, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate, if the result is within the limits of size."""
        self.budget.step()
        self.budget.weigh(left)
        weight = self.budget.weigh(right)
        if operator == "**" and isinstance(left, int) and isinstance(right, int):
            if left.bit_length() * right > MAX_BITS:
                raise BlockTemplateError(f"the template creates a number of more than {MAX_BITS} bits.")
        elif operator == "*":
            for sequence, times in ((left, right), (right, left)):
                if isinstance(sequence, str | bytes | list | tuple) and isinstance(times, int):
                    self.budget.accept(self.budget.weigh(sequence) * times)
        elif operator == "%" and isinstance(left, str | bytes):
            check_percent_format(left, weight)
        return self.check(super().call_binop(context, operator, *_match_numbers(left, right)))

    def prepare(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        """Weigh arguments, and convert iterators to lists."""
        self.budget.step()
        prepared = tuple(
            list(one) if isinstance(one, Iterator) and not isinstance(one, LoopContext) else one
            for one in args
        )
        for value in (*prepared, *kwargs.values()):
            self.budget.weigh(value)
        return prepared


def _refuse_method(value: Any) -> Any:
    if callable(value) and not isinstance(value, Undefined):
        raise BlockTemplateError("a {{ … }} is a function, not a value: call it with brackets.")
    return value


def _bound_filter(name: str, function: Any) -> Callable[..., Any]:
    """Wrap a filter or a test to count its steps in the budget of the environment."""
    takes_one = hasattr(function, "jinja_pass_arg")

    @functools.wraps(function)
    def call_bounded(passed: Any, *args: Any, **kwargs: Any) -> Any:
        environment = passed if isinstance(passed, BoundedEnvironment) else passed.environment
        args = environment.prepare(args, kwargs)
        budget = environment.budget
        if name not in QUICK_FILTERS:
            budget.step(sum(map(budget.weigh, args)) // WEIGHT_PER_STEP)
        _check_filter(name, args, kwargs, budget)
        if name in TEXT_FILTERS:
            texts = 3 if name == "replace" else 1
            args = (*map(environment.write_text, args[:texts]), *args[texts:])
        return environment.check(function(*((passed,) if takes_one else ()), *args, **kwargs))

    return call_bounded if takes_one else pass_environment(call_bounded)


@pass_environment
def _join_values(
    environment: BoundedEnvironment, values: Iterable[Any], d: Any = "", attribute: str | int | None = None
) -> str:
    """Implement ``| join``."""
    if attribute is not None:
        values = map(make_attrgetter(environment, attribute), values)
    return environment.write_text(d).join(map(environment.write_text, values))


def _collect_values(values: Any) -> InClause:
    """Implement ``| inclause``."""
    if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
        raise BlockTemplateError(f"inclause needs a list of values, not {type(values).__name__}.")
    collected = tuple(values)
    if not collected:
        raise BlockTemplateError("inclause needs at least one value, and the list is empty.")
    return InClause(collected)


SQL_FILTERS: Mapping[str, Callable[[Any], Any]] = {"inclause": _collect_values, "identifier": Identifier}
"""Filters that write SQL from values that are bound or quoted; other templates refuse their output."""

FILTERS: Mapping[str, Callable[..., Any]] = {
    **{name: _bound_filter(name, function) for name, function in DEFAULT_FILTERS.items()},
    **{name: _bound_filter(name, function) for name, function in SQL_FILTERS.items()},
    "join": _bound_filter("join", _join_values),
}
TESTS: Mapping[str, Callable[..., Any]] = {
    name: _bound_filter(f"is {name}", function) for name, function in DEFAULT_TESTS.items()
}
"""The filters and tests of every template: those of Jinja and of this package."""

PARSING = BoundedEnvironment(Budget(), str)
"""Parses templates only."""

MAX_CACHED_LENGTH = 20_000
CACHED_TEMPLATES = 256


def _compile(source: str) -> CodeType:
    environment = BoundedEnvironment(Budget(), str)
    bounded: nodes.Template = _Counter().visit(parse_bounded(environment, source))
    bounded.set_environment(environment)
    return environment.compile(bounded)


_compile_small = functools.lru_cache(CACHED_TEMPLATES)(_compile)


def parse_bounded(environment: ImmutableSandboxedEnvironment, source: str) -> nodes.Template:
    """
    Parse a template within the limits of length and nesting.

    :raises BlockTemplateError: if it exceeds one.
    """
    if len(source) > MAX_SOURCE_LENGTH:
        raise BlockTemplateError(f"the template has more than {MAX_SOURCE_LENGTH} characters: shorten it.")
    tree = environment.parse(source)
    level: list[nodes.Node] = [tree]
    for _ in range(MAX_LEVELS):
        level = [child for node in level for child in node.iter_child_nodes()]
        if not level:
            return tree
    raise BlockTemplateError(f"not a template: it is nested too deeply, more than {MAX_LEVELS} levels.")


def check_filters(tree: nodes.Template) -> None:
    """
    Check the names of filters and tests early: Jinja finds a wrong one when a template is compiled or run.

    :raises BlockTemplateError: for one that does not exist.
    """
    for node in tree.find_all((nodes.Filter, nodes.Test)):
        is_filter = isinstance(node, nodes.Filter)
        _check_known(FILTERS if is_filter else TESTS, "filter" if is_filter else "test", node.name)
        position, known, kind = CALLING_FILTERS.get(node.name, (0, FILTERS, "filter"))
        named = node.args[position : position + 1] if is_filter and node.name in CALLING_FILTERS else []
        for name in named:
            if isinstance(name, nodes.Const) and isinstance(name.value, str):
                _check_known(known, kind, name.value)


CALLING_FILTERS: Mapping[str, tuple[int, Mapping[str, Any], str]] = {
    "map": (0, FILTERS, "filter"),
    "select": (0, TESTS, "test"),
    "reject": (0, TESTS, "test"),
    "selectattr": (1, TESTS, "test"),
    "rejectattr": (1, TESTS, "test"),
}
"""Filters that call another filter or a test, with the position of the argument that names it."""


def _check_known(known: Mapping[str, Any], kind: str, name: str) -> None:
    if name not in known:
        similar = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {similar[0]!r}?" if similar else "see the documentation of Jinja."
        raise BlockTemplateError(f"there is no {kind} {name!r}: {hint}")


class _Counter(NodeTransformer):
    """Adds calls to a template that count its steps and weigh its values."""

    def visit_For(self, node: nodes.For) -> Any:
        self.generic_visit(node)
        if node.test is not None:
            node.test = nodes.And(_call(node, "count", nodes.Const(0)), node.test, lineno=node.lineno)
        return self._count_body(node)

    def visit_Block(self, node: nodes.Block | nodes.CallBlock | nodes.Macro) -> Any:
        return self._count_body(self.generic_visit(node))

    visit_CallBlock = visit_Macro = visit_Block

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        self.generic_visit(node)
        return _call(node, "join_texts", *node.nodes)

    def visit_List(self, node: nodes.List | nodes.Dict) -> nodes.Expr:
        self.generic_visit(node)
        return _call(node, "check", node)

    visit_Dict = visit_List

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Expr:
        self.generic_visit(node)
        return node if node.ctx == "store" else _call(node, "check", node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = _call(node, "check", node.expr)
        for operand in node.ops:
            operand.expr = _call(node, "check", operand.expr)
        return node

    def _count_body(self, node: Any) -> Any:
        texts = (data.data for one in node.body for data in one.find_all(nodes.TemplateData))
        characters = sum(map(len, texts))
        count = nodes.ExprStmt(_call(node, "count", nodes.Const(characters)), lineno=node.lineno)
        node.body.insert(0, count)
        return node


def _call(node: nodes.Node, name: str, *args: nodes.Expr) -> nodes.Call:
    method = nodes.EnvironmentAttribute(name, lineno=node.lineno)
    return nodes.Call(method, list(args), [], None, None, lineno=node.lineno)


def _check_filter(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], budget: Budget) -> None:
    value, options = (args[0] if args else None), [*args[1:], *kwargs.values()]
    if name in WIDENING_FILTERS:
        for option in options:
            check_width(option)
    if name == "format" and isinstance(value, str):
        check_percent_format(value, budget.weigh(options))
    if name == "sum" and any(isinstance(option, list | tuple) for option in options):
        raise BlockTemplateError("the filter 'sum' adds numbers, not lists.")
    if name in SLOW_FILTERS and max(len(str(value)), *map(_measure, options), 0) > MAX_SLOW_LENGTH:
        raise BlockTemplateError(f"the filter {name!r} accepts up to {MAX_SLOW_LENGTH} characters.")
    check_growth(_measure(value), max(map(_measure_text, options), default=0))


def _check_text_method(owner: str | bytes, name: str, options: Sequence[Any], weight: int) -> None:
    if name not in TEXT_METHODS:
        raise BlockTemplateError(f"templates cannot call {name!r} on text.")
    if name in WIDENING_METHODS:
        for option in options:
            check_width(option)
        check_growth(len(owner), max((one for one in options if isinstance(one, int)), default=0))
    if name in ("encode", "decode") and not all(str(option).lower() in CODINGS for option in options):
        raise BlockTemplateError(f"templates {name} texts by one of {', '.join(sorted(CODINGS))}.")
    if name == "format" and isinstance(owner, str):
        check_brace_format(owner, weight)
    longest = max(map(_measure, options), default=0)
    check_growth(len(owner), longest)


def _measure(value: Any) -> int:
    return len(value) if isinstance(value, (*CONTAINERS, str, bytes, range)) else 0


def _measure_text(value: Any) -> int:
    return len(value) if isinstance(value, str | bytes) else 0
