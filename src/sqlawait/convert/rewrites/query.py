"""``session.query(…)`` becomes ``select(…)``, and what ran the query becomes an awaited call on the session.

| before | after |
| --- | --- |
| ``db.query(User).filter(a).first()`` | ``(await db.scalars(select(User).where(a).limit(1))).first()`` |
| ``db.query(User.id, User.name).all()`` | ``(await db.execute(select(User.id, User.name))).all()`` |
| ``db.query(User).count()`` | ``await db.scalar(select(func.count()).select_from(User))`` |
| ``db.query(User).filter_by(id=1).delete()`` | ``await db.execute(delete(User).filter_by(id=1))`` |
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from sqlawait.convert.chains import PLAIN, RUNS, SETS, Chain, Step, refine
from sqlawait.convert.context import Context, Refusal
from sqlawait.convert.edits import INDENT

RENAMED = {
    "filter": "where",
    "with_entities": "with_only_columns",
    "add_entity": "add_columns",
    "add_column": "add_columns",
}
OPTIONS = {"populate_existing", "autoflush", "yield_per"}
AFTER_UNION = {"order_by", "limit", "offset"}
ATTRIBUTES = {"statement", "selectable"}
SAME = {
    "exists",
    "subquery",
    "cte",
    "scalar_subquery",
    "label",
    "whereclause",
    "column_descriptions",
    "get_final_froms",
}
ROWS_OF = '''
{define} rows_of(session: {session}, statement: {select}):
    """What a statement gives: the objects of a single model, each once, or else rows."""
    result = {waits}session.execute(statement)
    columns = statement.column_descriptions
    models = [each for each in columns if each["expr"] is each.get("entity")]
    if models:
        result = result.unique()
    return result.scalars() if models and len(columns) == 1 else result
'''
"""For queries of what may be a model or a column: only the statement knows, when it runs."""


def rewrite_query(chain: Chain, context: Context) -> None:
    """Rewrite one chain; raises Refusal, before it changed anything, for what it does not understand."""
    plan = _Plan(chain, context)
    plan.check()
    plan.write()


class _Plan:
    def __init__(self, chain: Chain, context: Context) -> None:
        self.chain = chain
        self.context = context
        self.edits = context.edits
        self.facts = context.facts
        self.end = chain.end.name if chain.end else ""
        self.iterated = chain.end is None and self.facts.is_iterated(chain.statement)
        self.actions: list[Callable[[], None]] = []

    # -- what is understood ------------------------------------------------------------------------------------

    def check(self) -> None:
        """Refuse what is not understood."""
        chain = self.chain
        seen_set = False
        for step in chain.steps:
            if seen_set and step.name not in AFTER_UNION | SETS:
                raise Refusal("SAW901", f"Query.{step.name}() after a union has no counterpart in select()")
            seen_set = seen_set or step.name in SETS
            self._check_step(step)
        if self.end == "[]":
            self._check_slice()
        elif self.end and self.end not in RUNS | ATTRIBUTES | SAME | {"as_scalar", "session"}:
            raise Refusal("SAW901", f"Query.{self.end} has no counterpart in select()")
        if self.end in ("delete", "update"):
            self._check_dml()
        elif self.end == "get" and any(
            step.name not in ("options", "populate_existing") for step in chain.steps
        ):
            raise Refusal("SAW901", "Query.get() on a refined query")
        if (self.end in RUNS - {"count", "get", "delete", "update"} or self.iterated or self.end == "[]") and (
            chain.shape.rows == "unknown" and chain.shape.special
        ):
            what = chain.shape.model or self.facts.text(chain.root)
            raise Refusal(
                "SAW902", f"whether {what} is a model or a column is not known, so neither is what its rows are"
            )

    def _check_step(self, step: Step) -> None:
        if step.name in ("join", "outerjoin"):
            positional = step.call.args
            if any(isinstance(each, ast.Constant) for each in positional) or len(positional) > 2:
                raise Refusal(
                    "SAW901",
                    f"Query.{step.name}() with names or with several targets went away in SQLAlchemy 2.0",
                )
            if any(isinstance(each, ast.Tuple) for each in positional):
                raise Refusal("SAW901", f"Query.{step.name}() with tuples went away in SQLAlchemy 2.0")

    def _check_slice(self) -> None:
        assert self.chain.end is not None
        node = self.chain.end.node
        assert isinstance(node, ast.Subscript)
        parts = (
            [node.slice.lower, node.slice.upper, node.slice.step]
            if isinstance(node.slice, ast.Slice)
            else [node.slice]
        )
        if isinstance(node.slice, ast.Slice) and node.slice.step is not None:
            raise Refusal("SAW901", "a slice of a query with a step")
        if any(
            isinstance(each, ast.UnaryOp) or (isinstance(each, ast.Constant) and isinstance(each.value, str))
            for each in parts
        ):
            raise Refusal("SAW901", "a query counted from its end")

    def _check_dml(self) -> None:
        shape = self.chain.shape
        assert self.chain.end is not None
        if self.chain.session is not None:
            if not all(step.name in PLAIN | {"execution_options"} for step in self.chain.steps):
                raise Refusal("SAW901", f"Query.{self.end}() on more than conditions")
        elif not (shape.simple and shape.filtered and shape.model.replace(".", "").isidentifier()):
            raise Refusal(
                "SAW901", f"Query.{self.end}() of a stored query whose model or conditions are not certain"
            )
        call = self.chain.end.call
        if any(
            each.arg not in ("synchronize_session", "values", "execution_options") for each in call.keywords
        ):
            raise Refusal("SAW901", f"Query.{self.end}() with options that the statement does not have")

    # -- changes -----------------------------------------------------------------------------------------------

    def write(self) -> None:
        """Make the changes."""
        handler = {
            "count": self._count, "get": self._get, "delete": self._dml, "update": self._dml,
            "scalar": self._scalar, "[]": self._subscript, "session": self._session,
        }.get(self.end)  # fmt: skip
        if self.end not in ("get", "session"):
            self._steps()
        if handler is not None:
            handler()
        elif self.iterated:
            self._root("select")
            self._run("", self._unique())
        elif self.end in RUNS:
            self._root("select")
            limit = ".limit(1)" if self.end == "first" and self.chain.shape.special != "statement" else ""
            self._run(limit, f"{self._unique()}.{self.end}()")
        else:
            self._root("select")
            self._leave()

    def _steps(self) -> None:
        for step in self.chain.steps:
            func = step.call.func
            assert isinstance(func, ast.Attribute)
            end = self.edits.end(func)
            if step.name == "filter_by":
                self._equals(step)
            elif step.name in RENAMED:
                self.edits.rename(func, RENAMED[step.name])
            elif step.name in OPTIONS:
                value = (
                    self.edits.apply(self.edits.start(step.call.args[0]), self.edits.end(step.call.args[0]))
                    if step.call.args
                    else "True"
                )
                self.edits.replace(
                    end - len(func.attr), self.edits.end(step.call), f"execution_options({step.name}={value})"
                )
            elif step.name == "tuples":
                self.edits.replace(self._dot(step), self.edits.end(step.call), "")

    def _equals(self, step: Step) -> None:
        """Name the model of ``filter_by`` where there are several: SQLAlchemy 2.1's looks at all of them."""
        model = self._filtered_model(step)
        call = step.call
        if not model or not call.keywords or any(each.arg is None for each in call.keywords):
            return
        func = call.func
        end = self.edits.end(func)
        self.edits.replace(end - len("filter_by"), end, "where")
        for each in call.keywords:
            loose = isinstance(each.value, ast.IfExp | ast.BoolOp | ast.Compare | ast.Lambda | ast.UnaryOp)
            self.edits.replace(
                self.edits.start(each),
                self.edits.start(each.value),
                f"{model}.{each.arg} == {'(' if loose else ''}",
            )
            if loose:
                self.edits.wrap_node(each.value, "", ")")

    def _filtered_model(self, step: Step) -> str:
        """The model that Query's ``filter_by`` means: the last one joined, or the first one queried."""
        shape = self.chain.base
        for each in self.chain.steps[: self.chain.steps.index(step)]:
            shape = refine(shape, each, self.facts)
        return shape.subject

    def _root(self, name: str, suffix: str = "") -> None:
        """``session.query`` becomes ``select``."""
        chain = self.chain
        if chain.session is None:
            return
        assert isinstance(chain.root, ast.Call)
        name = self.context.need("sqlalchemy", name)
        self.edits.replace(self.edits.start(chain.root), self.edits.end(chain.root.func), name + suffix)

    def _leave(self) -> None:
        """The statement goes on somewhere else."""
        end = self.chain.end
        if end is None:
            return
        if end.name in ATTRIBUTES:
            self.edits.replace(self._dot(end), self.edits.end(end.node), "")
        elif end.name == "as_scalar":
            func = end.call.func
            self.edits.replace(self.edits.end(func) - len("as_scalar"), self.edits.end(func), "scalar_subquery")

    def _dot(self, step: Step) -> int:
        """Where the dot of a step stands."""
        func = step.node.func if isinstance(step.node, ast.Call) else step.node
        assert isinstance(func, ast.Attribute)
        at = self.edits.end(func) - len(func.attr)
        while self.edits.between(at - 1, at) != ".":
            at -= 1
        return at - 1

    def _statement(self) -> tuple[str, str]:
        """What goes before and after the statement itself."""
        shape = self.chain.shape
        if shape.special == "union" and shape.rows == "entity":
            select = self.context.need("sqlalchemy", "select")
            return f"{select}({shape.model}).from_statement(", ")"
        return "", ""

    def _run(self, within: str, after: str, *, method: str = "") -> None:
        """Hand the statement to the session and await it."""
        session = self.context.session_of(self.chain)
        if self.chain.shape.rows == "unknown" and not method:
            self.context.helpers["rows_of"] = ROWS_OF.format(
                define="def" if self.context.blocking else "async def",
                session=self.context.need(*self.context.session_class),
                select=self.context.need("sqlalchemy", "Select"),
                waits=self.context.waits,
            )
            self._wrap(f"rows_of({session}, ", [within] if within else [], ")", after)
            return
        method = method or ("scalars" if self.chain.shape.rows == "entity" else "execute")
        before, close = self._statement()
        self._wrap(f"{session}.{method}({before}", [within] if within else [], f"{close})", after)

    def _wrap(self, head: str, within: list[str], tail: str, after: str) -> None:
        """Put a call around the statement; ``within`` are more steps of it, ``after`` follows the await."""
        top, end = self.chain.top, self.chain.end
        start, stop = self.edits.start(top), self.edits.end(top)
        head = f"{self.context.waits}{head}"
        group = self._group(after)
        if group:
            indent = self.edits.indent_of(top.lineno)
            last = self.chain.statement.end_lineno or top.lineno
            self.edits.wrap(start, stop, f"{head}\n{indent}{INDENT}", "")
            self.edits.indent(top.lineno + 1, last)
            more = "".join(f"\n{indent}{INDENT}{each}" for each in within)
            self.edits.replace(self.edits.end(self.chain.statement), stop, f"{more}\n{indent}{tail}")
            self.edits.replace(group, group, after)
            return
        bare = self._bare(after)
        head, tail = f"{'' if bare else '('}{head}", f"{''.join(within)}{tail}{'' if bare else ')'}{after}"
        if end is None:
            self.edits.wrap(start, stop, head, tail)
            return
        cut = self._dot(end) if end.name != "[]" else self._bracket(end)
        self.edits.wrap(start, stop, head, "")
        self.edits.replace(cut, stop, tail)

    def _bare(self, after: str = "") -> bool:
        """Whether what stands in the place of the chain needs no parentheses around it."""
        return self.context.blocking or not (after or self.facts.needs_parentheses(self.chain.top))

    def _group(self, after: str) -> int:
        """Where the parentheses end that hold nothing but this query, on several lines; 0 without such."""
        top, end, edits = self.chain.top, self.chain.end, self.edits
        start, stop = edits.start(top), edits.end(top)
        if top.lineno == self.chain.statement.end_lineno:
            return 0
        head = edits.between(0, start)
        closing = edits.find(")", stop)
        opened = head.rstrip()
        if not opened.endswith("(") or head.rpartition("(")[2].find("\n") < 0 or closing < 0:
            return 0
        if end is not None and end.name != "[]":
            gap = edits.between(edits.end(self.chain.statement), self._dot(end))
            if gap.strip():
                return 0
        called = opened[:-1].rstrip(" ")[-1:]
        if edits.between(stop, closing).strip() or (after and (called.isalnum() or called in "_)]")):
            return 0
        return closing + 1

    def _bracket(self, step: Step) -> int:
        node = step.node
        assert isinstance(node, ast.Subscript)
        return self.edits.find("[", self.edits.end(node.value))

    def _unique(self) -> str:
        shape = self.chain.shape
        return "" if shape.distinct or not shape.mapped or shape.rows == "unknown" else ".unique()"

    def _count(self) -> None:
        chain = self.chain
        func = self.context.need("sqlalchemy", "func")
        if (
            chain.session is not None
            and chain.shape.simple
            and chain.shape.model.replace(".", "").isidentifier()
        ):
            self._root("select", f"({func}.count()).select_from")
            self._run("", "", method="scalar")
            return
        self._root("select")
        select = self.context.need("sqlalchemy", "select")
        session = self.context.session_of(chain)
        self._wrap(
            f"{session}.scalar({select}({func}.count()).select_from(",
            [".subquery()"],
            "))",
            "",
        )

    def _scalar(self) -> None:
        self._root("select")
        if self.chain.shape.aggregate:
            self._run("", "", method="scalar")
        elif self.chain.shape.rows == "entity":
            self._run("", f"{self._unique()}.one_or_none()")
        else:
            self._run("", f"{self._unique()}.scalar_one_or_none()")

    def _get(self) -> None:
        chain = self.chain
        assert chain.end is not None
        assert isinstance(chain.root, ast.Call) or chain.session is None
        session = self.context.session_of(chain)
        call = chain.end.call
        if chain.session is None or len(call.args) + len(call.keywords) != 1:
            raise Refusal("SAW901", "Query.get() of a stored query")
        extra = ""
        options = list(self.context.options.get(call, ()))
        for step in chain.steps:
            if step.name == "options":
                options = [*(self.edits.text(each) for each in step.call.args), *options]
            else:
                extra += ", populate_existing=True"
        if options:
            extra = f", options=[{', '.join(options)}]{extra}"
        identity = call.args[0] if call.args else call.keywords[0].value
        bare = self._bare()
        head = (
            f"{'' if bare else '('}{self.context.waits}{session}.get({chain.shape.model or chain.base.model}, "
        )
        self.edits.replace(self.edits.start(chain.top), self.edits.start(identity), head)
        self.edits.replace(
            self.edits.end(identity), self.edits.end(chain.top), f"{extra}){'' if bare else ')'}"
        )

    def _dml(self) -> None:
        chain = self.chain
        assert chain.end is not None
        name = self.context.need("sqlalchemy", self.end)
        session = self.context.session_of(chain)
        call = chain.end.call
        used = not isinstance(self.facts.parent(chain.top), ast.Expr)
        options = {each.arg: each.value for each in call.keywords}
        positional = list(call.args)
        steps = []
        if self.end == "update":
            values = positional.pop(0) if positional else options["values"]
            steps.append(f".values({self.context.render(values)})")
        synchronize = positional.pop(0) if positional else options.get("synchronize_session")
        if synchronize is not None:
            steps.append(f".execution_options(synchronize_session={self.context.render(synchronize)})")
        if "execution_options" in options:
            steps.append(f".execution_options(**{self.context.render(options['execution_options'])})")
        after = ".rowcount" if used else ""
        head = f"{session}.execute("
        if chain.session is not None:
            self._root(self.end)
            self._wrap(head, steps, ")", after)
        else:
            where = f".where({self.context.render(chain.statement)}.whereclause)"
            whole = f"{self.context.waits}{head}{name}({chain.shape.model}){where}{''.join(steps)})"
            self.edits.replace_node(chain.top, f"{whole}{after}" if self._bare(after) else f"({whole}){after}")

    def _subscript(self) -> None:
        chain = self.chain
        assert chain.end is not None
        node = chain.end.node
        assert isinstance(node, ast.Subscript)
        self._root("select")
        if isinstance(node.slice, ast.Slice):
            lower = self.context.render(node.slice.lower) if node.slice.lower else ""
            upper = self.context.render(node.slice.upper) if node.slice.upper else ""
            if lower and upper:
                within = f".slice({lower}, {upper})"
            else:
                within = f".limit({upper})" if upper else f".offset({lower})" if lower else ""
            self._run(within, f"{self._unique()}.all()")
        else:
            index = self.context.render(node.slice)
            upper = str(int(index) + 1) if index.isdigit() else f"{index} + 1"
            self._run(f".slice({index}, {upper})", f"{self._unique()}.all()[0]")

    def _session(self) -> None:
        session = self.context.session_of(self.chain)
        self.edits.replace_node(self.chain.top, session)


__all__ = ["rewrite_query"]
