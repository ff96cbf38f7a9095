"""One-line bugs that have to be found, each as the source that it replaces, and where to look for it."""

from dataclasses import dataclass
from pathlib import Path

ENGINE, AUDIT = "core/src/frame/engine", "core/src/frame/audit"
FILES = "plugins/frame-files/src/frame_files"


@dataclass(frozen=True, slots=True)
class Bug:
    """`old` stands once in `file`, and `new` in its place is wrong. `harness`: which one has to find it."""

    name: str
    file: str
    old: str
    new: str
    harness: str
    pipeline: str

    def seed(self, tree: Path) -> None:
        """Put the bug into the sources under `tree`."""
        path = tree / self.file
        text = path.read_text()
        assert text.count(self.old) == 1, (
            f"{self.name}: {self.file} has its line {text.count(self.old)} times"
        )
        path.write_text(text.replace(self.old, self.new))


BUGS = (
    Bug(
        "a file is not synced",
        f"{FILES}/publish.py",
        "            os.fsync(descriptor)\n            if not self._entered",
        "            if not self._entered",
        "power",
        "files",
    ),
    Bug(
        "the entry of a new file is not synced",
        f"{FILES}/publish.py",
        "            if not self._entered:\n                sync_folder(_folder_of(self.path))\n",
        "",
        "power",
        "files",
    ),
    Bug(
        "the folder is not synced after the rename",
        f"{FILES}/publish.py",
        "            _rename_to_free_name(self.path, self.target)\n        sync_folder(_folder_of(self.target))\n",
        "            _rename_to_free_name(self.path, self.target)\n",
        "power",
        "files",
    ),
    Bug(
        "a made folder is not synced",
        f"{FILES}/publish.py",
        "            sync_folder(above)\n",
        "            pass\n",
        "power",
        "files",
    ),
    Bug(
        "a position is told before it is durable",
        f"{FILES}/file_sink.py",
        "        part = self._made().part\n        part.sync()\n",
        "        part = self._made().part\n",
        "power",
        "files",
    ),
    Bug(
        "nothing is cut off",
        f"{FILES}/publish.py",
        "        os.ftruncate(descriptor, size)\n",
        "",
        "leftover",
        "files",
    ),
    Bug(
        "one byte too much is left",
        f"{FILES}/publish.py",
        "        os.ftruncate(descriptor, size)\n",
        "        os.ftruncate(descriptor, size + 1)\n",
        "kill",
        "files",
    ),
    Bug(
        "a short write counts as a whole one",
        f"{FILES}/publish.py",
        "            left = left[os.write(descriptor, left) :]\n",
        "            left = left[os.write(descriptor, left) and len(left) :]\n",
        "short",
        "files",
    ),
    Bug(
        "the rows of a Parquet file go before it is there",
        f"{FILES}/parquet_sink.py",
        "        target.publish(self.config.on_existing, self._base)\n        spool.remove()\n",
        "        spool.remove()\n        target.publish(self.config.on_existing, self._base)\n",
        "kill",
        "joins",
    ),
    Bug(
        "a published Parquet file is not recognised",
        f"{FILES}/parquet_sink.py",
        "        if not target.exists() or (spooled and not self._base):\n",
        "        if True:\n",
        "kill",
        "joins",
    ),
    Bug(
        "a file that is taken over stays the same file",
        f"{FILES}/publish.py",
        "        Path(copy.path).replace(self.path)\n        sync_folder",
        "        import shutil\n        shutil.copyfile(copy.path, self.path)\n        sync_folder",
        "sleep",
        "files",
    ),
    Bug(
        "sinks are written before the commit",
        f"{ENGINE}/writer.py",
        '            self._recorder.commit(chunk)\n            reached("after_commit")\n',
        "            for d in deliveries:\n                self._begin(d).result()\n"
        '            self._recorder.commit(chunk)\n            reached("after_commit")\n',
        "kill",
        "calls",
    ),
    Bug(
        "what was announced is not delivered again",
        f"{ENGINE}/resumption.py",
        "        return [found[number] for number in sorted(found)]\n",
        "        return []\n",
        "kill",
        "files",
    ),
    Bug(
        "it is delivered again under another key",
        f"{ENGINE}/executors/sink.py",
        "lambda plugin: _write(plugin, rows, intent.key)",
        'lambda plugin: _write(plugin, rows, f"{intent.key}/{id(self)}")',
        "kill",
        "ledger",
    ),
    Bug(
        "fields come back in the order of the record",
        f"{ENGINE}/resumption.py",
        "                        rows = shaped(list(map(restore, block.items)), block.shapes)\n",
        "                        rows = shaped(list(map(restore, block.items)), ())\n",
        "kill",
        "files",
    ),
    Bug(
        "sinks do not go back",
        f"{ENGINE}/runner.py",
        "assembly.open_sinks(self._resumption.positions, ",
        "assembly.open_sinks({}, ",
        "kill",
        "files",
    ),
    Bug(
        "the source begins anew",
        f"{ENGINE}/resumption.py",
        "            source.seek(self.stands.position)\n            return True\n",
        "            return True\n",
        "kill",
        "files",
    ),
    Bug(
        "members of open batches are not accepted again",
        f"{ENGINE}/resumption.py",
        "                executor.accept_again(members)\n",
        "",
        "kill",
        "batches",
    ),
    Bug(
        "visits in doubt are not put on record",
        f"{ENGINE}/resumption.py",
        "                yield AttemptFailed(*place, VisitStatus.IN_DOUBT, ",
        "                AttemptFailed(*place, VisitStatus.IN_DOUBT, ",
        "doubt",
        "calls",
    ),
    Bug(
        "new rows are read before the chunk in hand is done",
        f"{ENGINE}/standing.py",
        "            self.position = chunk.position\n",
        "            self.position = self.position or chunk.position\n",
        "kill",
        "files",
    ),
    Bug(
        "nobody holds a run",
        f"{AUDIT}/recorder.py",
        "        if status is RunStatus.RUNNING and is_held(found, at_us, host, self._alive):\n",
        "        if status is RunStatus.RUNNING and is_held(found, at_us + 3_600_000_000, host, self._alive):\n",
        "sleep",
        "ledger",
    ),
    Bug(
        "commits do not wait for the disk",
        f"{AUDIT}/sqlite.py",
        '    connection.execute("PRAGMA synchronous=FULL")\n    found',
        '    connection.execute("PRAGMA synchronous=FULL")\n    connection.execute("PRAGMA synchronous=NORMAL")\n'
        "    return\n    found",
        "power",
        "files",
    ),
    Bug(
        "a changed leaf goes unnoticed",
        f"{AUDIT}/verify/blocks.py",
        "        made = chain.block(self._run_id, stored.n, rows, self.head)\n",
        "        made = stored\n",
        "tamper",
        "files",
    ),
)
