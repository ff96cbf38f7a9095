"""The page about the tables says what the schema says."""

from frame.audit import reference, schema, views


def test_every_view_and_table_is_on_the_page() -> None:
    page = reference.page()

    assert set(reference.ABOUT) == set(views.VIEWS)
    for name in (*views.VIEWS, *schema.metadata.tables):
        assert f"\n### {name}" in page


def test_the_names_that_auditors_know_are_all_there() -> None:
    promised = """runs nodes edges chunks rows tokens token_parents node_states routing_events calls batches
    batch_members batch_outputs artifacts token_outcomes sink_intents payloads validation_errors run_events"""

    assert set(promised.split()) <= {*views.VIEWS, *schema.metadata.tables}
