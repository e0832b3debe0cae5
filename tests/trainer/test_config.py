"""A run's TOML file is read whole or refused with the line that helps."""

from pathlib import Path

import pytest

from bundle.errors import BadConfig
from bundle.preprocess import InputSpec
from trainer.config import Augmentation, MemberRun, Run, Shares, read_run

MEMBER = '[[members]]\nname = "a"\narchitecture = "residual_cnn"\nepochs = 3\nseed = 1\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text)
    return path


def test_a_run_is_read_with_its_defaults(tmp_path: Path):
    run = read_run(
        write(tmp_path, f'name = "shapes"\n[input]\nside = 32\n{MEMBER}[members.augmentation]\nzoom = 1.5\n')
    )
    assert run == Run(
        "shapes",
        (MemberRun("a", "residual_cnn", epochs=3, seed=1, augmentation=Augmentation(zoom=1.5)),),
        InputSpec(side=32),
        Shares(0.1, 0.1),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'name = "x"\n{MEMBER}epoch = 4\n', r"run\.toml: members\[0\]: unknown key 'epoch'; did you mean 'epochs'\?"),
        (f'name = "x"\n{MEMBER}batch = "many"\n', r"members\[0\]: batch: expected a whole number, found 'many'"),
        (f'name = "x"\n{MEMBER}batch = 0\n', r"members\[0\]: batch must be at least 1"),
        (f'name = "x"\n{MEMBER}widths = [8]\n', r"widths and blocks must be equally long"),
        (MEMBER, r"missing key 'name' \(a text in quotes\)"),
        ('name = "x"\nmembers = []\n', r"a run needs at least one \[\[members\]\] table"),
        (f'name = "x"\n{MEMBER}{MEMBER}', r"two members have the same name"),
        (f'name = "x"\n{MEMBER}'.replace('"a"', '"a/b"'), r"name 'a/b' becomes a file name"),
        (
            f'name = "x"\n{MEMBER}'.replace("residual_cnn", "vgg"),
            r"expected one of 'simple_cnn', 'residual_cnn', found 'vgg'",
        ),
        ('name = "x\n', r"not valid TOML"),
    ],
)
def test_a_wrong_run_is_refused_with_its_fault(tmp_path: Path, text: str, message: str):
    with pytest.raises(BadConfig, match=message):
        read_run(write(tmp_path, text))


def test_the_runs_that_ship_can_be_read():
    runs = sorted((Path(__file__).parents[2] / "trainer" / "runs").rglob("*.toml"))
    assert [read_run(path).name for path in runs] == [path.parent.name for path in runs]
    assert len(runs) >= 2
