"""Messages: what comes out of data is shown, never obeyed."""

import pytest

from interjudge.errors import InputError, InterjudgeError, choices, did_you_mean

EVIL = "a\x1b[2J\x07\u202eb"
SHOWN = "a\\x1b[2J\\x07\\u202eb"


@pytest.mark.parametrize(
    "error",
    [
        InterjudgeError(EVIL),
        InputError(EVIL),
        InputError("x", file=EVIL),
        InputError("x", column=EVIL),
        InputError("x", found=EVIL),
        InputError("x", expected=f"one of {choices([EVIL])}"),
        InputError("x" + did_you_mean("a\x1b[2J", [EVIL])),
    ],
)
def test_a_message_is_one_line_of_printable_characters(error: InterjudgeError):
    assert str(error).isprintable()
    assert SHOWN in str(error)


def test_plain_text_in_any_script_stays_as_it_is():
    assert str(InputError("Größe 大小 – \\x1b", found="naïve")) == "Größe 大小 – \\x1b; found naïve"


def test_an_error_can_be_made_without_words_and_has_its_exit_code():
    assert (str(InterjudgeError()), InterjudgeError.exit_code, InputError.exit_code) == ("", 1, 2)
