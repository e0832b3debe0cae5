from bundle.ensemble import RUNTIME
from bundle.machine import processor_name, read_machine, usable_cores

X86 = "processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel\t\t: 17\nmodel name\t: AMD EPYC 9B14\n"
PI = "processor\t: 0\nmodel name\t: ARMv7 Processor rev 3 (v7l)\n\nModel\t\t: Raspberry Pi 4 Model B Rev 1.1\n"


def test_a_board_is_named_before_its_processor():
    assert processor_name(X86, "") == "AMD EPYC 9B14"
    assert processor_name(PI, "") == "Raspberry Pi 4 Model B Rev 1.1"
    assert processor_name(PI, "NVIDIA Jetson Orin Nano\0") == "NVIDIA Jetson Orin Nano"
    assert processor_name("model\t: 17\n", "") is None


def test_this_machine_says_what_it_is():
    machine = read_machine()
    assert machine.cores == usable_cores() >= 1
    assert machine.processor
    assert "Linux" in machine.system
    assert machine.runtime.startswith(f"{RUNTIME} ")
