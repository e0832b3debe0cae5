from pathlib import Path

import pytest

from bundle.errors import BadConfig
from bundle.manifest import VoteRule
from quantize.config import Gates, MemberScheme, Settings, read_config


def write(folder: Path, text: str) -> Path:
    path = folder / "quantize.toml"
    path.write_text(text)
    return path


def test_without_a_file_the_defaults_hold():
    assert read_config(None) == Settings()
    assert Settings().scheme == "int8"


def test_a_file_sets_what_it_names_and_leaves_the_rest(tmp_path):
    path = write(
        tmp_path,
        """
        scheme = "float32"
        compare = ["int8", "int16x8"]
        [[members]]
        name = "01-a"
        scheme = "float16"
        [gates]
        max_disagreement = 0
        [vote]
        rule = "soft"
        min_votes = 2
        """,
    )
    assert read_config(path) == Settings(
        scheme="float32",
        members=(MemberScheme("01-a", "float16"),),
        compare=("int8", "int16x8"),
        gates=Gates(max_disagreement=0.0),
        vote=VoteRule("soft", "mean_score", min_votes=2),
    )


def test_a_member_has_the_scheme_that_is_named_for_it_and_the_others_the_common_one():
    settings = Settings(members=(MemberScheme("02-b", "float16"),))
    assert [settings.scheme_of(name) for name in ("01-a", "02-b")] == ["int8", "float16"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            Settings(members=(MemberScheme("02-c", "int8"),)),
            "members: the run has no member '02-c'; did you mean '02-b'?",
        ),
        (Settings(members=(MemberScheme("x", "int8"),)), "members: the run has no member 'x'; it has 01-a, 02-b"),
        (Settings(vote=VoteRule(min_votes=3)), "vote.min_votes is 3, but the run has 2 members; set it from 1 to that"),
    ],
)
def test_settings_that_do_not_fit_the_run_are_refused(settings, message):
    with pytest.raises(BadConfig) as refused:
        settings.require_members(["01-a", "02-b"])
    assert str(refused.value) == message


def test_the_command_line_scheme_takes_precedence_for_every_member(tmp_path):
    path = write(tmp_path, 'scheme = "float32"\nseed = 4\n[[members]]\nname = "01-a"\nscheme = "dynamic"\n')
    assert read_config(path, "int8") == Settings(scheme="int8", seed=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gates]\nmax_acuracy_drop = 0.1", "gates: unknown key 'max_acuracy_drop'; did you mean 'max_accuracy_drop'?"),
        (
            'scheme = "int4"',
            "scheme: expected one of 'int8', 'int16x8', 'dynamic', 'float16', 'float32', found 'int4'",
        ),
        ("max_layers_in_float = -1", "max_layers_in_float must be 0 or more, found -1"),
        (
            '[[members]]\nname = "a"\nscheme = "int8"\n' * 2,
            "members: 'a' has two schemes; leave one",
        ),
        ("representative_images = 0", "representative_images must be at least 1, found 0"),
        ("representative_images = 0.5", "representative_images: expected a whole number, found 0.5"),
        ("[gates]\nmax_vote_drop = 1.5", "gates: max_vote_drop is a share and must be from 0 to 1, found 1.5"),
        ("[gates]\nclass_images = 0", "gates: class_images must be at least 1, found 0"),
        ("[vote]\nmin_votes = 0", "vote.min_votes must be at least 1, found 0"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(BadConfig) as refused:
        read_config(path)
    assert str(refused.value) == f"{path}: {message}"
