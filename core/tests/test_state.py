from typing import Any

import pytest

from core.state import IllegalTransition, can_move, move_to, sentence


class Door:
    TRANSITIONS = {"open": {"shut", "broken"}, "shut": {"open"}}

    def __init__(self, status: Any) -> None:
        self.status = status


class TestMoveTo:
    @pytest.mark.parametrize(("old", "new"), [("open", "shut"), ("open", "broken"), ("shut", "open")])
    def test_follows_the_table(self, old, new):
        door = Door(old)
        assert can_move(door, new)
        move_to(door, new)
        assert door.status == new

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("shut", "broken"), ("open", "open"), ("broken", "open"), ("broken", "broken"), ("open", "ajar"),
            ("ajar", "open"),
        ],
    )  # fmt: skip
    def test_refuses_what_is_not_in_the_table(self, old, new):
        door = Door(old)
        assert not can_move(door, new)
        with pytest.raises(IllegalTransition) as caught:
            move_to(door, new)
        assert caught.value.message == f"A door that is {old} cannot become {new}."
        assert (caught.value.status, caught.value.code) == (409, "illegal_transition")
        assert door.status == old


class TestSentence:
    @pytest.mark.parametrize(
        ("status", "said"),
        [
            ("open", "Door is open."),
            ("in_transit", "Door is in transit."),
            ("requires_approval", "Door requires approval."),
        ],
    )
    def test_says_where_a_row_stands(self, status, said):
        assert sentence(Door(status)) == said

    def test_is_in_a_refusal_too(self):
        with pytest.raises(IllegalTransition, match="A door that requires approval cannot become open"):
            move_to(Door("requires_approval"), "open")
