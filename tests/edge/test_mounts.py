"""Which mounts send notifications, from /proc/self/mountinfo as proc_pid_mountinfo(5) describes it."""

from pathlib import Path

import pytest

from edge.intake.mounts import mount_type, sends_events

LINES = r"""22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
24 22 0:22 / /proc rw,nosuid - proc proc rw
80 22 0:50 / /data/nfs rw,relatime shared:40 - nfs4 ship:/export rw,vers=4.2
81 80 0:51 / /data/nfs/local rw,relatime - xfs /dev/sdb1 rw
82 22 0:52 / /data/with\040space rw,relatime - cifs //camera/share rw
83 22 0:53 / /data/sshfs rw - fuse.sshfs camera:/ rw
84 22 0:54 / /data/stick rw - fuseblk /dev/sdc1 rw
85 22 0:55 / /data/twice rw - ext4 /dev/sdd1 rw
86 22 0:56 / /data/twice rw - 9p host rw
87 22 0:57 / /data/tab\011new\012line\134 rw - smb3 //a/b rw
a line that is none
"""


@pytest.fixture
def mountinfo(tmp_path: Path) -> Path:
    file = tmp_path / "mountinfo"
    file.write_text(LINES)
    return file


@pytest.mark.parametrize(
    ("folder", "kind", "sends"),
    [
        ("/data", "ext4", True),
        ("/data/nfs", "nfs4", False),
        ("/data/nfs/tow1/a", "nfs4", False),
        ("/data/nfs/local/tow1", "xfs", True),
        ("/data/nfs-like", "ext4", True),
        ("/data/with space/tow", "cifs", False),
        ("/data/sshfs", "fuse.sshfs", False),
        ("/data/stick", "fuseblk", True),
        ("/data/twice", "9p", False),
        ("/data/tab\tnew\nline\\/x", "smb3", False),
        ("/", "ext4", True),
    ],
)
def test_a_folder_is_of_the_deepest_and_last_mount_it_lies_in(mountinfo, folder: str, kind: str, sends: bool):
    assert (mount_type(Path(folder), mountinfo), sends_events(Path(folder), mountinfo)) == (kind, sends)


def test_where_mounts_cannot_be_told_notifications_are_relied_on(tmp_path):
    assert (mount_type(tmp_path, tmp_path / "none"), sends_events(tmp_path, tmp_path / "none")) == (None, True)


def test_the_kernel_tells_of_its_own_mounts():
    assert (mount_type(Path("/proc/1")), mount_type(Path("/sys"))) == ("proc", "sysfs")


def test_a_link_is_followed_to_the_mount_it_leads_to(tmp_path, mountinfo):
    (tmp_path / "link").symlink_to("/data/nfs")
    assert not sends_events(tmp_path / "link", mountinfo)
