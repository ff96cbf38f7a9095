"""What the lookup adds to rows, how it is asked and recorded, and what becomes of rows without an answer."""

import json
from decimal import Decimal

import pytest
from frame.errors import ConfigError, RetryableError
from frame.plugin import Drop, Fail
from frame.rows import freeze
from frame_sql.lookup import SqlLookup
from pydantic import ValidationError

CITIES = (
    "CREATE TABLE cities (id int PRIMARY KEY, name text, people bigint)",
    "INSERT INTO cities VALUES (1, 'Oslo', 700000), (2, NULL, 8000000)",
)
OPTIONS = {"table": "cities", "key": "city", "table_key": "id", "take": ["name", "people"], "prefix": "city_"}


class Recording:
    """A context that keeps the calls that were made, and answers from them when there are some."""

    node = "lookup"

    def __init__(self, answers=()):
        self.requests, self.answers = [], list(answers)

    def call(self, kind, request, send):
        self.requests.append((kind, request))
        return self.answers.pop(0) if self.answers else send(request)


def ask(db, rows, context=None, **options):
    lookup = db.lookup(**{**OPTIONS, **options})
    return lookup.process_many([freeze(row) for row in rows], context or Recording())


def test_rows_get_the_columns_that_stand_beside_their_key(db):
    db.run(*CITIES)

    made = ask(db, [{"n": 1, "city": 1}, {"n": 2, "city": 2}, {"n": 3, "city": 1}])

    assert made == [
        {"n": 1, "city": 1, "city_name": "Oslo", "city_people": 700_000},
        {"n": 2, "city": 2, "city_name": None, "city_people": 8_000_000},
        {"n": 3, "city": 1, "city_name": "Oslo", "city_people": 700_000},
    ]


def test_a_batch_is_one_call_that_names_each_key_once(db):
    db.run(*CITIES)
    context = Recording()

    ask(db, [{"city": 1}, {"city": 2}, {"city": 1}, {"city": None}], context)
    ask(db, [{"city": None}], context)

    request = {"table": ["cities"], "key": "id", "take": ["name", "people"], "keys": [1, 2]}
    assert context.requests == [("sql", request)]


def test_an_answer_on_record_is_taken_and_nobody_is_asked(db):
    made = ask(db, [{"city": 1}], Recording([[[1, "Rome", Decimal("1.5")]]]))

    assert made == [{"city": 1, "city_name": "Rome", "city_people": Decimal("1.5")}]


@pytest.mark.parametrize("value", [3, None, "1", True, 1.0, Decimal(1), 2**70, [1], {"a": 1}])
def test_a_key_that_is_not_there_or_of_another_type_is_missing(db, value):
    db.run(*CITIES)
    rows = [{"city": value}, {"city": 1}]

    failed, found = ask(db, rows)
    dropped, _ = ask(db, rows, on_missing="drop")
    nulls, _ = ask(db, rows, on_missing="null")

    assert failed == Fail("its 'city' is not in 'cities'")
    assert dropped == Drop("its 'city' is not in 'cities'")
    assert nulls == {"city": value, "city_name": None, "city_people": None}
    assert found["city_name"] == "Oslo"


def test_a_row_without_the_field_fails_alone(db):
    db.run(*CITIES)

    failed, found = ask(db, [{}, {"city": 1}])

    assert failed == Fail("no field 'city', which node 'lookup' needs")
    assert found["city_name"] == "Oslo"


def test_a_key_that_two_rows_have_fails_its_rows(db):
    db.run("CREATE TABLE cities (id int, name text, people int)")
    db.run("INSERT INTO cities VALUES (1, 'Oslo', 1), (1, 'Oslo', 2), (2, 'Rome', 3)")

    failed, found = ask(db, [{"city": 1}, {"city": 2}])

    assert failed == Fail("two rows of 'cities' have this 'city'")
    assert found["city_name"] == "Rome"


def test_a_field_that_is_there_already_is_not_written_over(db):
    db.run(*CITIES)

    (failed,) = ask(db, [{"city": 1, "name": "mine"}], prefix="")

    assert failed == Fail("a field 'name' is already there; give `prefix`, or drop it first")


def test_more_keys_than_one_statement_takes_are_asked_for_in_parts(db):
    db.run("CREATE TABLE cities (id int PRIMARY KEY, name text, people int)")
    db.run("INSERT INTO cities VALUES " + ", ".join(f"({n}, 'c{n}', {n})" for n in range(1_700)))

    made = ask(db, [{"city": n} for n in range(1_700)])

    assert [row["city_name"] for row in made] == [f"c{n}" for n in range(1_700)]


def test_hostile_names_and_keys_are_names_and_keys(db):
    name = 'x"); DROP TABLE cities;--%s :b'
    db.run(*CITIES, 'CREATE TABLE t ("{}" text PRIMARY KEY)'.format(name.replace('"', '""')))
    options = {"table": "t", "key": "k", "table_key": name, "take": [name], "prefix": "got "}

    found, missing = ask(db, [{"k": "' OR 1=1 --"}, {"k": "%s"}], Recording(), **options, on_missing="null")

    assert (found[f"got {name}"], missing[f"got {name}"]) == (None, None)
    assert len(db.ask("SELECT * FROM cities")) == 2


@pytest.mark.parametrize("options", [{"table": "nowhere"}, {"table_key": "nothing"}, {"take": ["nothing"]}])
def test_check_finds_what_is_not_there(db, options):
    db.run(*CITIES)

    with pytest.raises(ConfigError, match=r"sql_lookup\.options\.table.*(nowhere|nothing)"):
        SqlLookup(SqlLookup.Config(url=db.url, **{**OPTIONS, **options})).check()
    SqlLookup(SqlLookup.Config(url=db.url, **OPTIONS)).check()


@pytest.mark.parametrize(
    "options", [{"take": ["name", "name"]}, {"take": []}, {"namespace": "s"}, {"naive_zone": "Nowhere/Land"}]
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValidationError):
        SqlLookup.Config(**{"url": "sqlite:///x.db", **OPTIONS, **options})


def test_a_server_that_is_away_asks_for_another_attempt(tmp_path):
    lookup = SqlLookup(
        SqlLookup.Config(url=f"postgresql://me@/data?host={tmp_path}", connect_timeout_s=2, **OPTIONS)
    )

    with pytest.raises(RetryableError):
        lookup.process_many([freeze({"city": 1})], Recording())


def test_a_run_is_replayed_without_the_database(db, tmp_path, drive):
    db.run(*CITIES)
    folder = tmp_path / "pipeline"
    folder.mkdir()
    (folder / "in.jsonl").write_text("".join(f'{{"city": {n % 3}}}\n' for n in range(9)))
    pipeline = {
        "frame": 1,
        "name": "cities",
        "source": {"plugin": "jsonl", "options": {"path": "in.jsonl"}},
        "nodes": [
            {"name": "city", "plugin": "sql_lookup", "options": {"url": db.url, **OPTIONS}, "on_error": "bad"}
        ],
        "sinks": {name: {"plugin": "jsonl", "options": {"path": f"{name}.jsonl"}} for name in ("out", "bad")},
    }
    pipeline["nodes"][0]["to"] = "out"
    (folder / "pipeline.yaml").write_text(json.dumps(pipeline))

    ran = drive.frame(folder, "run", "pipeline.yaml")
    db.run("DROP TABLE cities")
    replayed = drive.frame(folder, "replay", "latest")

    assert ran.returncode == 0, ran.stderr
    rows = [json.loads(line) for line in (folder / "out.jsonl").read_text().splitlines()]
    assert [(row["city"], row["city_name"]) for row in rows] == [(1, "Oslo"), (2, None)] * 3
    assert len((folder / "bad.jsonl").read_text().splitlines()) == 3
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr
