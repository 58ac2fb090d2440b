"""The tests of pipelines, searches and connectors once more, on the oldest OpenSearch that is supported.

Left out is what 2.19 does not know (`filter` of the hybrid query, ranks with weights) and what is a fact about the
engine rather than about what we make.
"""

from tests.engine.connectors.test_connectors import (
    test_a_document_sends_what_it_has_and_nothing_else,
    test_a_picture_field_cannot_smuggle_a_text_in,
    test_a_probe_says_what_is_wrong_with_an_endpoint,
    test_a_probe_tells_wrong_credentials_and_mending_them_is_one_apply,
    test_an_address_that_is_not_ours_is_not_trusted,
    test_applying_twice_changes_nothing,
    test_no_answer_of_the_engine_holds_the_secret_key,
    test_queries_by_text_by_picture_and_by_both_find_their_document_first,
    test_texts_of_a_bulk_travel_in_batches_and_each_gets_its_own_vector,
    test_the_model_of_each_role_answers_a_probe,
)
from tests.engine.pipelines.test_ingest import *  # noqa: F403
from tests.engine.pipelines.test_search import *  # noqa: F403
from tests.engine.pipelines.test_stamps import *  # noqa: F403
from tests.engine.pipelines.test_templates import *  # noqa: F403

__all__ = [
    "test_a_document_sends_what_it_has_and_nothing_else",
    "test_a_picture_field_cannot_smuggle_a_text_in",
    "test_a_probe_says_what_is_wrong_with_an_endpoint",
    "test_a_probe_tells_wrong_credentials_and_mending_them_is_one_apply",
    "test_an_address_that_is_not_ours_is_not_trusted",
    "test_applying_twice_changes_nothing",
    "test_no_answer_of_the_engine_holds_the_secret_key",
    "test_queries_by_text_by_picture_and_by_both_find_their_document_first",
    "test_texts_of_a_bulk_travel_in_batches_and_each_gets_its_own_vector",
    "test_the_model_of_each_role_answers_a_probe",
]

del test_a_filter_of_the_hybrid_query_narrows_every_leg  # noqa: F821
del test_filters_in_every_leg_find_what_one_filter_of_the_hybrid_query_finds  # noqa: F821
