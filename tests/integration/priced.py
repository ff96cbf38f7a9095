"""A pipeline that cannot parse some prices, in a folder, with the questions that its dead letters raise."""

from pathlib import Path

from tests.integration.attacked import Place

PIPELINE = """
frame: 1
name: prices
source:
  plugin: csv
  options: {path: in.csv}
  schema: {mode: fixed, fields: {id: int, price: str}}
nodes:
  - name: mark
    plugin: compute
    options: {set: {seen: "row.id + 1000"}}
  - name: parse
    plugin: compute
    options: {set: {amount: "double(row.price)"}}
sinks:
  out: {plugin: csv, options: {path: out.csv}}
settings: {chunk_rows: 3}
"""
MENDED = PIPELINE.replace("double(row.price)", "row.price == 'x' ? 0.0 : double(row.price)")
BAD = (1, 4, 8)
ROWS = 10


class Priced(Place):
    """A folder with runs that leave dead letters."""

    def run_over(self, prices: str, pipeline: str = PIPELINE) -> "Priced":
        """Run `pipeline` over `prices`, of which some fail."""
        self.put("in.csv", prices)
        self.put("pipeline.yaml", pipeline)
        assert self.run().code == 1
        return self

    def mend(self) -> None:
        self.put("pipeline.yaml", MENDED)

    def runs(self) -> list[str]:
        """The ids of the runs, the oldest first."""
        return [each["run"] for each in reversed(self.json("runs", "list")["runs"])]

    def states(self, run: str) -> dict[int, str]:
        """What became of the dead letters of `run`, by token."""
        found = self.json("dead-letters", "list", run, "--all")["dead_letters"]
        return {letter["token"]: letter["state"] for letter in found}

    def ids(self, name: str = "out.csv") -> list[int]:
        """The first column of a CSV file."""
        return [int(line.split(",")[0]) for line in (self.folder / name).read_text().splitlines()[1:]]


def three_failed(folder: Path) -> Priced:
    """A run that has left three dead letters."""
    prices = ["x" if number in BAD else str(number) for number in range(ROWS)]
    return Priced(folder).run_over("id,price\n" + "".join(f"{n},{p}\n" for n, p in enumerate(prices)))
