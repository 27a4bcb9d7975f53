import pytest

from tellapart.images import ImageError, ImageFault, decode
from tellapart.wire import (
    HTTP_STATUS,
    BatchResult,
    ErrorBody,
    ModelList,
    Result,
    ServiceError,
    image_error,
    make_result,
)

CLASSES = ["cat", "dog", "bird", "fish"]


def test_predictions_are_sorted_and_cut_at_top_k():
    result = make_result("pets:1", CLASSES, [0.1, 0.2, 0.65, 0.05], (500, 375), top_k=3, time_ms=41.234)
    assert result.model_dump() == {
        "model": "pets:1",
        "top": "bird",
        "confidence": 0.65,
        "none_of_these": False,
        "predictions": [
            {"class": "bird", "confidence": 0.65},
            {"class": "dog", "confidence": 0.2},
            {"class": "cat", "confidence": 0.1},
        ],
        "image": {"width": 500, "height": 375},
        "time_ms": 41.23,
    }


def test_top_k_beyond_the_classes_gives_all_and_ties_keep_the_class_order():
    result = make_result("pets:1", CLASSES, [0.25] * 4, (1, 1), top_k=99)
    assert [p.class_name for p in result.predictions] == CLASSES


@pytest.mark.parametrize(("threshold", "none"), [(None, False), (0.6, False), (0.61, True), (0.0, False)])
def test_below_the_threshold_the_answer_is_none_of_these(threshold, none):
    result = make_result("pets:1", CLASSES[:2], [0.6, 0.4], (1, 1), reject_threshold=threshold)
    assert result.none_of_these is none
    assert result.top == "cat"


def test_a_result_there_and_back():
    result = make_result("pets:1", CLASSES, [0.1, 0.2, 0.65, 0.05], (5, 4))
    assert Result.model_validate_json(result.model_dump_json()) == result


def test_a_batch_holds_results_and_errors():
    result = make_result("pets:1", CLASSES, [0.1, 0.2, 0.65, 0.05], (5, 4))
    error = ErrorBody.model_validate({"error": {"code": "empty", "message": "the file is empty"}})
    batch = BatchResult(model="pets:1", results=[result, error])
    again = BatchResult.model_validate_json(batch.model_dump_json())
    assert again == batch
    assert isinstance(again.results[1], ErrorBody)


def test_newer_fields_of_a_service_are_passed_over():
    assert ModelList.model_validate({"default": None, "models": [], "new": 1}).models == []


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("empty", 400),
        ("not_an_image", 400),
        ("truncated", 400),
        ("unauthorized", 401),
        ("unknown_model", 404),
        ("too_large", 413),
        ("unsupported_type", 415),
        ("wrong_field", 422),
        ("overloaded", 503),
    ],
)
def test_errors_have_a_status_and_one_body(code, status):
    error = ServiceError(code, "what\nhappened")
    assert error.status == status
    assert error.body() == {"error": {"code": code, "message": "what happened"}}


def test_every_fault_of_a_picture_has_a_status():
    assert {f.value for f in ImageFault} <= HTTP_STATUS.keys()
    with pytest.raises(ImageError) as caught:
        decode(b"")
    assert image_error(caught.value).body() == {
        "error": {"code": "empty", "message": "the file is empty. Choose a picture"}
    }
