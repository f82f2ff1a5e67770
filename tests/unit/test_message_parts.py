from headwater.model.message import HEADER, Part, mark, message_id, part_of


def test_a_part_is_read_as_it_was_marked():
    message = message_id("v1/t/d/telemetry", b"{}")
    assert part_of([("other", b"x"), (HEADER, mark(message, 2, 65_535))]) == Part(message, 2, 65_535)


def test_a_message_that_comes_again_has_the_same_id_and_another_one_has_not():
    same = message_id("v1/t/d/telemetry", b"21")
    assert same == message_id("v1/t/d/telemetry", b"21")
    assert len({same, message_id("v1/t/d/telemetry", b"22"), message_id("v1/t/e/telemetry", b"21")}) == 3


def test_records_without_the_header_or_with_another_form_of_it_belong_to_no_message():
    assert part_of([]) is None
    assert part_of([(HEADER, b"short")]) is None
    assert part_of([(HEADER, None)]) is None
