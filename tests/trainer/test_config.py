"""A run's TOML file is read whole or refused with the line that helps."""

from pathlib import Path

import pytest

from bundle.errors import BadConfig
from bundle.preprocess import InputSpec
from trainer.config import Augmentation, MemberRun, Network, Run, Shares, read_run

MEMBER = '[[members]]\nname = "a"\nepochs = 3\nseed = 1\nnetwork = { architecture = "residual_cnn" }\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text)
    return path


def test_a_run_is_read_with_its_defaults(tmp_path: Path):
    run = read_run(
        write(
            tmp_path,
            f'name = "shapes"\n[input]\npad = "border"\n{MEMBER}side = 32\n[members.augmentation]\nzoom = 1.5\n',
        )
    )
    assert run == Run(
        "shapes",
        (MemberRun("a", 3, 1, Network("residual_cnn"), side=32, augmentation=Augmentation(zoom=1.5)),),
        InputSpec(pad="border"),
        Shares(0.1, 0.1),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f'name = "x"\n{MEMBER}epoch = 4\n', r"run\.toml: members\[0\]: unknown key 'epoch'; did you mean 'epochs'\?"),
        (f'name = "x"\n{MEMBER}batch = "many"\n', r"members\[0\]: batch: expected a whole number, found 'many'"),
        (f'name = "x"\n{MEMBER}side = 7\n', r"members\[0\]: side must be from 8 to 1024 pixels, found 7"),
        (f'name = "x"\n{MEMBER}batch = 0\n', r"members\[0\]: batch must be at least 1"),
        (f'name = "x"\n{MEMBER}'.replace("}", ", widths = [8] }"), r"network: widths and blocks must be equally long"),
        (
            f'name = "x"\n{MEMBER}'.replace("}", ", width = [8] }"),
            r"network: unknown key 'width'; did you mean 'widths'",
        ),
        (f'name = "x"\n{MEMBER}average = 1.0\n', r"average must be from 0 to below 1"),
        (f'name = "x"\n{MEMBER}stop_after = -1\n', r"stop_after must not be negative"),
        (
            f'name = "x"\n{MEMBER}imbalance = {{ class_weights = "all" }}\n',
            r"one of 'none', 'inverse', 'effective', found",
        ),
        (f'name = "x"\n{MEMBER}imbalance = {{ logit_adjustment = 3 }}\n', r"logit_adjustment must be from 0 to 2"),
        (f'name = "x"\n{MEMBER}imbalance = {{ beta = 1 }}\n', r"beta must be from 0 to below 1"),
        (f'name = "x"\n{MEMBER}augmentation = {{ intensity = 0.5 }}\n', r"factors of at least 1"),
        (f'name = "x"\n{MEMBER}augmentation = {{ noise_chance = 2 }}\n', r"noise_chance must be from 0 to 1"),
        (f'name = "x"\n{MEMBER}teacher = {{ members = [] }}\n', r"a teacher needs at least one \.keras file"),
        (f'name = "x"\n{MEMBER}teacher = {{ members = ["a"], share = 0 }}\n', r"share must be above 0"),
        (MEMBER, r"missing key 'name' \(a text in quotes\)"),
        ('name = "x"\nmembers = []\n', r"a run needs at least one \[\[members\]\] table"),
        (f'name = "x"\n{MEMBER}{MEMBER}', r"two members have the same name"),
        (f'name = "x"\n{MEMBER}'.replace('"a"', '"a/b"'), r"name 'a/b' becomes a file name"),
        ('name = "x\n', r"not valid TOML"),
    ],
)
def test_a_wrong_run_is_refused_with_its_fault(tmp_path: Path, text: str, message: str):
    with pytest.raises(BadConfig, match=message):
        read_run(write(tmp_path, text))


def test_the_runs_that_ship_can_be_read():
    runs = sorted((Path(__file__).parents[2] / "trainer" / "runs").rglob("*.toml"))
    assert [read_run(path).name for path in runs] == [
        path.parent.name if path.stem == "run" else path.stem for path in runs
    ]
    assert len(runs) >= 2
