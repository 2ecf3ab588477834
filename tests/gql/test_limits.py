"""What an operation may cost, and that checking it costs next to nothing."""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from graphql import parse

from gql.execution import Limits, documents
from gql.execution.cost import plan_of
from gql.execution.limits import check_document
from gql.permissions import UndeclaredScopeError
from tests.gql.sample import Mutation, Query, Served, Subscription, make_schema, served

LIMITS = Limits()
SCHEMA = make_schema()


def refusal(query: str, limits: Limits = LIMITS) -> str | None:
    found = check_document(parse(query), limits)
    return found[0].message if found else None


def nested(depth: int) -> str:
    return "{ a " * depth + "}" * depth


@pytest.mark.parametrize(
    ("allowed", "refused", "why"),
    [
        (nested(16), nested(17), "nested deeper than 16"),
        (
            "{" + " ".join(f"a{n}: b" for n in range(50)) + "}",
            "{" + " ".join(f"a{n}: b" for n in range(51)) + "}",
            "50 aliases",
        ),
        ("{" + "a @skip(if: true) " * 20 + "}", "{ a" + " @x" * 51 + "}", "50 directives"),
        ("{" + "a " * 20 + "}", "{" + "a " * 21 + "}", "20 times in one place"),
        (
            "{ ...f } fragment f on Q { " + "a " * 20 + "}",
            "{ ...f ...g } fragment f on Q { " + "a " * 11 + "} fragment g on Q { " + "a " * 11 + "}",
            "20 times in one place",
        ),
        (
            "{" + " ".join(f"a{n}" for n in range(2_000)) + "}",
            "{" + " ".join(f"a{n}" for n in range(2_001)) + "}",
            "2000 fields",
        ),
        ("query @x { a }", "query" + " @x" * 51 + " { a }", "50 directives"),
    ],
)
def test_each_limit_stands_where_it_says(allowed: str, refused: str, why: str):
    assert refusal(allowed) is None
    assert why in (refusal(refused) or "")


def test_equal_names_are_counted_where_they_answer_together_however_deep():
    part = "a { " + "b " * 5 + "} "
    assert refusal("{" + part * 4 + "}") is None
    assert "in one place" in (refusal("{" + part * 5 + "}") or "")


def test_fragments_in_a_circle_end():
    assert "deeper" in (refusal("{ ...f } fragment f on Q { a { ...f } }") or "")
    assert refusal("{ ...f } fragment f on Q { b ...f }") is None


def test_fragments_that_multiply_are_refused_at_once():
    bomb = "{ ...f0 } " + " ".join(
        f"fragment f{n} on Q {{ a {{ ...f{n + 1} }} b {{ ...f{n + 1} }} }}" for n in range(14)
    )
    started = time.process_time()
    assert "2000 fields" in (refusal(bomb + " fragment f14 on Q { a }") or "")
    assert time.process_time() - started < 1


async def test_a_refused_document_is_no_operation(sample: Served):
    for query in (nested(17), "{" + "hello " * 21 + "}"):
        response = await sample.post(query, Accept="application/graphql-response+json")
        assert (response.status_code, "data" in response.json()) == (400, False)
        assert response.json()["errors"][0]["extensions"]["code"] == "LIMIT"


@pytest.mark.parametrize("query", ["{ hello " * 3_000, "{ a " * 900, '{ echo(value: "' + "x" * 900_000 + '") }'])
async def test_monsters_are_answered(sample: Served, query: str):
    response = await sample.post(query)
    assert response.status_code == 200
    assert (await sample.post("{ hello }")).json() == {"data": {"hello": "hello world"}}


async def test_too_many_tokens_are_not_parsed(sample: Served):
    answer = (await sample.post("{" + "hello " * 2_001 + "}")).json()
    assert "2000 tokens" in answer["errors"][0]["message"]


async def test_lists_in_variables_may_nest_as_json_nests(sample: Served):
    value = json.loads("[" * 500 + "]" * 500)
    assert (await sample.post("query($v: JSON!) { echo(value: $v) }", {"v": value})).status_code == 200


# ---------------------------------------------------------------- cost


def cost(query: str, variables: dict[str, object] | None = None, name: str | None = None) -> int:
    return plan_of(SCHEMA._schema, parse(query), name).cost(variables or {})


@pytest.mark.parametrize(
    ("query", "variables", "expected"),
    [
        ("{ hello }", {}, 1),
        ("{ rows(first: 7) { nodes { id name } } }", {}, 1 + 7 * (1 + 2)),
        ("{ rows(last: 7) { nodes { id } } }", {}, 1 + 7 * 2),
        ("{ rows { nodes { id } } }", {}, 1 + 100 * 2),
        ("{ rows(first: null) { nodes { id } } }", {}, 1 + 100 * 2),
        ("{ rows(first: 0) { nodes { id } } }", {}, 1 + 1 * 2),
        ("{ rows(first: 999999999999) { nodes { id } } }", {}, 1 + 1_000 * 2),
        ("query($n: Int) { rows(first: $n) { nodes { id } } }", {"n": 9}, 1 + 9 * 2),
        ("query($n: Int) { rows(first: $n) { nodes { id } } }", {}, 1 + 100 * 2),
        ("query($n: Int = 4) { rows(first: $n) { nodes { id } } }", {}, 1 + 4 * 2),
        ("query($n: Int) { rows(first: $n) { nodes { id } } }", {"n": "many"}, 1 + 100 * 2),
        ("query($n: Int, $m: Int) { rows(first: $n, last: $m) { nodes { id } } }", {"n": 2, "m": 5}, 1 + 5 * 2),
        ("{ byIds(ids: [1, 2, 3]) { id } }", {}, 1 + 3),
        ("query($i: [ID!]!) { byIds(ids: $i) { id } }", {"i": ["a", "b"]}, 1 + 2),
        ("{ rows(first: 5) { nodes { tags { id } } } }", {}, 1 + 5 * (1 + 1 + 10)),
        (
            "query($n: Int) { rows(first: 10) { nodes { children(first: $n) { id } } } }",
            {"n": 20},
            1 + 10 * (1 + 1 + 20),
        ),
        ("{ rows(first: 3) { ...r } } fragment r on Rows { nodes { ... on Row { id } } }", {}, 1 + 3 * 2),
        ("{ __schema { types { name fields { name } } } }", {}, 1),
        ("subscription { rows(to: 3) { nodes { id } } }", {}, 1 + 1 + 10),
    ],
)
def test_cost_counts_the_fields_that_the_response_can_hold(query: str, variables: dict[str, object], expected: int):
    assert cost(query, variables) == expected


def test_cost_is_of_the_operation_that_is_asked_for():
    document = "query a { hello } query b { rows(first: 50) { nodes { id } } }"
    assert (cost(document, name="a"), cost(document, name="b")) == (1, 101)


async def test_cost_beyond_the_limit_is_refused_with_its_number(directory: Path):
    query = "query($n: Int!) { rows(first: $n) { nodes { id name } } }"
    async with served(directory, make_schema(Limits(cost=30))) as sample:
        allowed = (await sample.post(query, {"n": 9})).json()
        refused = (await sample.post(query, {"n": 10})).json()
    assert len(allowed["data"]["rows"]["nodes"]) == 9
    assert refused["errors"][0]["extensions"].items() >= {"code": "LIMIT", "cost": 31, "limit": 30}.items()


# ---------------------------------------------------------------- caches and scopes


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often a document is parsed, checked, validated and planned."""
    done: Counter[str] = Counter()

    def counting(name: str) -> None:
        real: Any = getattr(documents, name)

        def count(*arguments: Any, **options: Any) -> Any:
            done[name] += 1
            return real(*arguments, **options)

        monkeypatch.setattr(documents, name, count)

    for name in ("parse", "check_document", "validate_document", "plan_of"):
        counting(name)
    return done


@pytest.mark.parametrize("introspection", [True, False])
async def test_a_document_is_parsed_validated_and_planned_once(
    directory: Path, work: Counter[str], introspection: bool
):
    query = "query once($n: Int) { rows(first: $n) { nodes { id } } }"
    async with served(directory, introspection=introspection) as sample:
        for number in range(5):
            await sample.data(query, {"n": number})
    assert work == {"parse": 1, "check_document": 1, "validate_document": 1, "plan_of": 1}


async def test_a_document_that_is_wrong_is_wrong_without_more_work(directory: Path, work: Counter[str]):
    async with served(directory) as sample:
        answers = [(await sample.post("{ wrong }")).json()["errors"][0]["message"] for _ in range(3)]
    assert len(set(answers)) == 1
    assert work == {"parse": 1, "check_document": 1, "validate_document": 1}


def test_the_cache_keeps_what_is_used_and_no_more_than_it_may():
    cache = documents.DocumentCache()
    first = cache.get("{ a }", max_tokens=10)
    for number in range(documents.DOCUMENTS_KEPT - 1):
        cache.get(f"{{ a{number} }}", max_tokens=10)
    assert cache.get("{ a }", max_tokens=10) is first
    cache.get("{ one_more }", max_tokens=10)
    assert len(cache) == documents.DOCUMENTS_KEPT
    assert cache.get("{ a }", max_tokens=10) is first
    cache.get("{ a }" + " " * documents.LONGEST_KEPT, max_tokens=10)
    assert len(cache) == documents.DOCUMENTS_KEPT
    assert cache.get("{ a }", max_tokens=10) is first


def test_the_cache_keeps_half_a_million_characters():
    cache = documents.DocumentCache()
    used = cache.get("{ used }", max_tokens=10)
    padding = "#" + "x" * 32_000 + "\n"
    for number in range(100):
        cache.get(f"{padding}{{ a{number} }}", max_tokens=10)
        assert cache.get("{ used }", max_tokens=10) is used
    assert len(cache) == documents.CHARACTERS_KEPT // 32_000 + 1
    for number in range(300):
        cache.get(f"{{ b{number} }}", max_tokens=10)
    assert len(cache) == documents.DOCUMENTS_KEPT


def test_a_root_field_without_a_scope_does_not_build():
    import strawberry

    from gql.execution import build_schema

    @strawberry.type
    class Careless(Query):
        open_to_all: int = 1

    with pytest.raises(UndeclaredScopeError, match=r"Careless\.open_to_all"):
        build_schema(Careless, Mutation, Subscription)
