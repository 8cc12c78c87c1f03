"""The least that a FUSE server over io_uring can cost: floor.c over a LUN."""

import os
import pathlib
import subprocess

import loads
from machine import Failure, await_true, final, run

SOURCE = pathlib.Path(__file__).with_name("floor.c")
# It has one file, which was written before, and no folder for new ones.
CASES = [case.name for case in loads.CASES if case.kind == "steady"]


def build(directory):
    """The program, compiled in that folder, and None; or None, and why there is none."""
    program = pathlib.Path(directory) / "floor"
    try:
        run("gcc", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-pthread", "-o", program, SOURCE,
            "-luring")  # fmt: skip
    except FileNotFoundError:
        return None, "floor (no gcc on this machine)"
    except Failure as error:
        lines = str(error).splitlines()
        said = next((line for line in lines if "error:" in line or "find -l" in line), lines[-1])
        if "liburing.h" in said or "-luring" in said:
            return None, "floor (no liburing-dev on this machine)"
        return None, "floor (%s)" % said
    try:
        run(program)
    except Failure as error:
        return None, "floor (%s)" % str(error).rpartition("floor: ")[2]
    return program, None


class Floor:
    """`target` is a file with the LUN's data."""

    def __init__(self, stack, program, directory, lun):
        directory = pathlib.Path(directory)
        directory.mkdir()
        self.target, self.errors = directory / "bench", directory / "errors"
        self.target.touch()
        self.process = None
        stack.callback(final(self.stop, "floor"))
        with open(self.errors, "wb") as errors:
            # In a session of its own, so that Ctrl-C finds it only by way of `stop`.
            self.process = subprocess.Popen(
                [program, self.target, lun.path], start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
        await_true(lambda: self.is_mounted() or self.has_ended(), "floor is mounted")
        try:
            # Answered when every queue is there, and fails when the process ends before.
            seen = os.stat(self.target).st_size
        except OSError:
            seen = None
        if seen != lun.size:
            said = self.errors.read_text().strip()
            raise Failure("floor does not serve %s: %s" % (lun.path, said))

    def is_mounted(self):
        # Of the kernel, not of the mount, which would not answer where its server is gone.
        words = (line.split() for line in open("/proc/self/mounts"))
        return any(word[1] == str(self.target) for word in words)

    def has_ended(self):
        return self.process.poll() is not None

    def unmount(self):
        if self.is_mounted():
            run("umount", self.target, check=False)
        return not self.is_mounted()

    def stop(self):
        if not self.process:
            return
        try:
            # The last files may still be on their way to be closed.
            await_true(self.unmount, "floor is unmounted", seconds=20)
            await_true(self.has_ended, "floor ended", seconds=20)
        finally:
            if not self.has_ended():
                self.process.kill()
                self.process.wait()
            if self.is_mounted():
                run("umount", "--lazy", self.target, check=False)
        if self.process.returncode != 0:
            said = self.errors.read_text().strip()
            raise Failure("status %d: %s" % (self.process.returncode, said))
