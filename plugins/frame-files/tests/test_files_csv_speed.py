"""How fast CSV is read and written, beside csv.DictReader and csv.DictWriter (medians, in turns).

Run with `-s` to see the figures. The bars are wide, as a loaded machine measures anything.
"""

import csv
import random
import statistics
import time

from frame.rows import Row

ROWS = 20_000
TURNS = 7


def table():
    chance = random.Random(1)
    for n in range(ROWS):
        yield {
            "id": n,
            "flight": chance.randint(1, 5000),
            "price": round(chance.random() * 100, 2),
            "carrier": chance.choice(["UA", "DL", "AA"]),
            "tail": f"N{chance.randint(100, 999)}UA",
            "origin": chance.choice(["EWR", "LGA"]),
            "delay": chance.randint(-20, 300),
            "gap": None if chance.random() < 0.02 else chance.randint(1, 9),
            "hour": "2013-01-01T10:00:00Z",
            "note": f"some text {n}",
        }


def medians_us(*jobs):
    """Microseconds a row for each job, measured in turns."""
    taken = [[] for _ in jobs]
    for _ in range(TURNS):
        for job, times in zip(jobs, taken, strict=True):
            begin = time.perf_counter()
            job()
            times.append((time.perf_counter() - begin) / ROWS * 1e6)
    return [statistics.median(times) for times in taken]


def test_reading_is_not_slower_than_the_dict_reader(drive, tmp_path):
    path = tmp_path / "in.csv"
    drive.written("csv", path, list(table()))

    def plain():
        with path.open(newline="", encoding="utf-8") as file:
            for _ in csv.DictReader(file):
                pass

    def ours():
        source = drive.started("csv", path)
        for number, _ in enumerate(source.read()):
            if number % 1000 == 999:
                source.position()
        source.close()

    theirs_us, ours_us = medians_us(plain, ours)

    print(
        f"\nread: csv.DictReader {theirs_us:.2f} us a row, csv source {ours_us:.2f} (nulls, hash, positions)"
    )
    assert ours_us < theirs_us * 1.5


def test_writing_is_not_slower_than_the_dict_writer(drive, tmp_path):
    rows = [Row(row) for row in table()]
    chunks = [rows[begin : begin + 1000] for begin in range(0, ROWS, 1000)]

    def plain():
        with (tmp_path / "plain.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            for row in rows:
                writer.writerow(row)

    def ours():
        sink = drive.opened("csv", tmp_path / "out.csv")
        for number, chunk in enumerate(chunks):
            sink.write(chunk, str(number))
        sink.close()

    theirs_us, ours_us = medians_us(plain, ours)

    print(
        f"\nwrite: csv.DictWriter {theirs_us:.2f} us a row, csv sink {ours_us:.2f} (cells checked, hash, no fsync)"
    )
    assert ours_us < theirs_us * 1.5
