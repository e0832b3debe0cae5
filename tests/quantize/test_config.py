from pathlib import Path

import pytest

from bundle.errors import BadConfig
from bundle.manifest import VoteRule
from quantize.config import Settings, read_config


def write(folder: Path, text: str) -> Path:
    path = folder / "quantize.toml"
    path.write_text(text)
    return path


def test_without_a_file_the_defaults_hold():
    assert read_config(None) == Settings()
    assert Settings().scheme == "int8"


def test_a_file_sets_what_it_names_and_leaves_the_rest(tmp_path):
    path = write(tmp_path, 'scheme = "float32"\nmin_agreement = 1\n[vote]\nrule = "soft"\nmin_votes = 2\n')
    assert read_config(path) == Settings(
        scheme="float32", min_agreement=1.0, vote=VoteRule("soft", "mean_score", min_votes=2)
    )


def test_the_command_line_scheme_takes_precedence(tmp_path):
    assert read_config(write(tmp_path, 'scheme = "float32"\nseed = 4\n'), "int8") == Settings(scheme="int8", seed=4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_acuracy_drop = 0.1", "unknown key 'max_acuracy_drop'; did you mean 'max_accuracy_drop'?"),
        ('scheme = "int4"', "scheme: expected one of 'int8', 'float32', found 'int4'"),
        ("representative_images = 0", "representative_images must be at least 1, found 0"),
        ("representative_images = 0.5", "representative_images: expected a whole number, found 0.5"),
        ("max_accuracy_drop = 1.5", "max_accuracy_drop is a share and must be from 0 to 1, found 1.5"),
        ("min_agreement = -0.1", "min_agreement is a share and must be from 0 to 1, found -0.1"),
        ("[vote]\nmin_votes = 0", "vote.min_votes must be at least 1, found 0"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(BadConfig) as refused:
        read_config(path)
    assert str(refused.value) == f"{path}: {message}"
