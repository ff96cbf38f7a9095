"""What may not be an expression, and what an expression may not cost."""

import subprocess
import sys
import threading
import time
import tracemalloc

import pytest
from frame.errors import ExpressionError
from frame.expressions import Expression

REFUSED = [
    ("", "is empty"),
    ("   // nothing", "is empty"),
    ("row.x +", "does not parse: line 1, column 8"),
    ("row.x row.y", "does not parse: line 1, column 7"),
    ("row.a.b.c(", "calls 'c', which is not a function here"),
    ("(1))", "does not parse"),
    ("row.x = 1", "has '=' at column 7, which is written =="),
    ("row.x & 1", "has '&' at column 7, which is written &&"),
    ("'abc", "a quote that is not closed"),
    ("1;2", "has ';' at column 2"),
    ("row.x\n  and 1", "has 'and' at line 2, column 3: in CEL that is &&"),
    ("row.x == None", "in CEL that is null"),
    ("True", "in CEL that is true"),
    ("rwo.x", "names 'rwo', which is not a variable here; did you mean 'row'?"),
    ("delay > 1", "names 'delay', which is not a variable here: a field is written row.delay"),
    ("[1].map(x, x)[0] + x", "names 'x', which is not a variable here"),
    ("startWith(row.x, 'a')", "calls 'startWith', which is not a function here; did you mean 'startsWith'?"),
    ("now()", "calls 'now', which is not a function here"),
    ("_size(row.x)", "calls '_size'"),
    ("row.x._each()", "calls '_each'"),
    ("[1].map(1, 2)", "needs a name and a comma first in map(...), as in map(x, x > 0)"),
    ("[1].map(row, row)", "calls the items of map(...) 'row', which is a variable already"),
    (".row.x", "a name that begins with a dot at column 1"),
    ("Foo{a: 1}", "has a message Foo{...}"),
    ("row.x.Foo{}", "has a message Foo{...}"),
    ("9223372036854775808", "invalid int literal"),
    ("1e400", "invalid double literal"),
    # C39
    ("().__class__.__mro__", "does not parse"),
    ("''.__class__.__mro__[1].__subclasses__()", "calls '__subclasses__'"),
    ("__import__('os').system('id')", "calls '__import__'"),
    ("open('/etc/passwd')", "calls 'open'"),
    ("eval('1')", "calls 'eval'"),
    ("lambda x: x", "names 'lambda'"),
    ("[x for x in row]", "names 'x'"),
    ("(x := 1)", "has '=' at column 5"),
    ("f'{row.x}'", "names 'f'"),
    ("'{0.__class__}'.format(row)", "calls 'format'"),
    ("row.x if row.y else 1", "names 'if'"),
    # C40
    ("9**9**9", "does not parse"),
    ("1<<10000000000", "does not parse"),
    # C41
    ("(" * 300 + "1" + ")" * 300, "is nested 300 deep, and 20 is the limit"),
    ("not " * 5000 + "true", "has 20004 characters, and 2000 are the limit"),
    ("!" * 1990 + "true", "has 1991 names, values and operators, and 200 are the limit"),
    ("!" * 100 + "true", "is nested 100 deep"),
    ("-" * 100 + "1", "is nested 100 deep"),
    ("- " * 100 + "1", "is nested 100 deep"),
    ("[" * 100 + "]" * 100, "is nested 100 deep"),
    ("true ? 1 : " * 60 + "1", "is nested 60 deep"),
    ("1" + "+1" * 20_000, "has 40001 characters"),
    ("1" + "+1" * 900, "has 1801 names, values and operators"),
    ("row" + ".a" * 900, "has 901 names, values and operators"),
    # comprehension bombs
    ("[1].map(a, [1].map(b, [1].map(c, 1)))", "has macros nested more than 2 deep"),
    ("[1]" + ".map(a, a)" * 5, "has more than 4 macros"),
]


@pytest.mark.parametrize(("source", "why"), REFUSED)
def test_what_is_not_an_expression_is_refused_when_it_is_compiled(source, why):
    started = time.monotonic()

    with pytest.raises(ValueError, match=r"^expression ") as caught:
        Expression.compile(source)

    assert why in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert time.monotonic() - started < 2


BOMBS = [
    ("'a' * 1000000000", "string * int"),
    ("'%900000000d' % 1", "string % int"),
    ("[0] * 1000000000", "list * int"),
    ("row.s + row.s", "row.s has 2000000 characters, and 1000000 are the limit where texts are joined"),
    ("row.half + row.half + row.half", "the result has 1500000 characters"),
    (
        "[row.half].map(a, a+a+a+a+a+a+a+a).map(b, b+b+b+b+b+b+b+b).map(c, c+c+c+c+c+c+c+c)",
        "has 4000000 characters",
    ),
    ("['x'].map(a, a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a+a).map(b, b+b)[0]", None),
    ("row.list.map(a, row.list.map(b, a + b))", "would copy too much"),
    ("row.list.map(a, row.half)", "would copy too much"),
    ("row.list.map(a, row.list)", "would copy too much"),
    ("row.list.map(a, [row.list, row.list])", "would copy too much"),
    ("row.list.map(a, row)", "row.s has 2000000 characters"),
    ("row.rows.map(a, row.rows.map(b, [a, b]))", "would copy too much"),
    ("row.long.exists(x, x == -1)", "would copy too much"),
]


@pytest.mark.parametrize(("source", "why"), BOMBS)
def test_an_expression_cannot_grow_without_bound(source, why):
    expression = Expression.compile(source)
    row = {
        "s": "x" * 2_000_000,
        "half": "y" * 500_000,
        "list": list(range(5000)),
        "rows": [[0] * 9] * 300,
        "long": list(range(20_000)),
    }
    tracemalloc.start()
    started = time.monotonic()

    try:
        if why is None:
            assert len(expression.evaluate(row)) == 60
        else:
            with pytest.raises(ExpressionError) as caught:
                expression.evaluate(row)
            assert why in caught.value.why
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert time.monotonic() - started < 5
    assert peak < 50_000_000


def test_a_long_text_may_be_looked_at_where_nothing_is_added_to_it():
    assert Expression.compile("row.s.startsWith('x') && row.s != ''").evaluate({"s": "x" * 2_000_000}) is True


def test_regular_expressions_take_linear_time():
    evil = Expression.compile("row.s.matches('(a+)+$')")
    wide = Expression.compile("row.s.matches('((a{1000}){1000}){1000}')")
    started = time.monotonic()

    assert evil.evaluate({"s": "a" * 50 + "b"}) is False
    assert evil.evaluate({"s": "a" * 100_000 + "b"}) is False
    with pytest.raises(ExpressionError, match="not a valid regex"):
        wide.evaluate({"s": "a"})

    assert time.monotonic() - started < 2


WIDEST = [
    "1" + "+1" * 99,
    "true" + "&&true" * 99,
    "false" + "||false" * 99,
    "row" + ".a" * 199,
    "row" + "[0]" * 99,
    "true ? 1 : " * 20 + "1",
    "true ? (" * 20 + "1" + ") : 1" * 20,
    "!" * 20 + "true",
    "(" * 20 + "1" + ")" * 20,
    "[" * 20 + "]" * 20,
    "[" + ",".join(["1"] * 190) + "].map(a, [1].map(b, a))",
]


def test_the_largest_expressions_that_are_allowed_do_not_exhaust_a_small_stack():
    script = f"""
import threading
from frame.expressions import Expression
from frame.errors import ExpressionError

def work():
    for source in {WIDEST!r}:
        try:
            Expression.compile(source).evaluate({{"a": 1}})
        except ExpressionError:
            pass
    print("alive")

import cel
threading.stack_size(1024 * 1024)
thread = threading.Thread(target=work)
thread.start()
thread.join()
"""

    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )

    assert (ran.returncode, ran.stdout) == (0, "alive\n"), ran.stderr


@pytest.mark.parametrize("value", ["{{7*7}}", "${env:HOME}", "row.secret", "' + row.secret + '"])
def test_a_value_that_looks_like_code_stays_a_value(value):
    assert Expression.compile("row.x + ''").evaluate({"x": value, "secret": "s"}) == value


def test_importing_frame_expressions_does_not_import_the_library():
    script = "import sys, frame.expressions; print([m for m in ('cel', 'rich', 'typer') if m in sys.modules])"

    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert ran.stdout == "[]\n"


def test_an_evaluation_in_many_threads_of_a_failing_expression_fails_in_each():
    shared, failed = Expression.compile("row.x.map(y, upper(y))"), []

    def work() -> None:
        try:
            shared.evaluate({"x": [1]})
        except ExpressionError as problem:
            failed.append(problem.why)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == ["upper(): takes a string"] * 8
