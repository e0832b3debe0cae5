"""Memory and temperature as the kernel tells them."""

from pathlib import Path

from edge.sensors import HostMemory, read_celsius, read_memory


def test_the_hottest_sensor_that_can_be_read(tmp_path: Path):
    assert read_celsius(tmp_path) is None
    for number, text in enumerate(("45000\n", "51500\n", "nonsense", "-273000\n", "200000\n")):
        zone = tmp_path / f"sys/class/thermal/thermal_zone{number}"
        zone.mkdir(parents=True)
        (zone / "temp").write_text(text)
    assert read_celsius(tmp_path) == 51.5
    board = tmp_path / "sys/class/hwmon/hwmon0"  # where x86 has its own
    board.mkdir(parents=True)
    (board / "temp1_input").write_text("61500\n")
    assert read_celsius(tmp_path) == 61.5


def test_memory_as_the_kernel_tells_it_or_not_at_all(tmp_path: Path):
    assert read_memory(tmp_path) is None
    (tmp_path / "proc").mkdir()
    told = tmp_path / "proc/meminfo"
    told.write_text("MemTotal:        2048 kB\nMemFree:    512 kB\nMemAvailable:  1024 kB\nHugePages_Total:  0\n")
    assert read_memory(tmp_path) == HostMemory(1024**2, 2 * 1024**2)
    told.write_text("MemTotal:        2048 kB\nMemFree:    512 kB\n")  # a kernel before 3.14
    assert read_memory(tmp_path) == HostMemory(512 * 1024, 2 * 1024**2)
    told.write_text("nothing of the kind\n")
    assert read_memory(tmp_path) is None
