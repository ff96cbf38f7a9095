"""What a verification found, as text."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from frame.cli.output import visible

if TYPE_CHECKING:
    from frame.audit.verify import Finding, Report, RunReport
    from frame.operations import ExportReport
    from frame.operations.proof import ProofReport


def text(report: "Report") -> str:
    """The report, for reading: what is wrong first."""
    return "\n".join(_lines(report))


def _lines(report: "Report") -> Iterator[str]:
    yield from _headed(f"the store {visible(report.where)} is not as it was written", report.store_findings)
    yield from _headed("not every receipt that was brought can be relied on", report.receipt_findings)
    for run in report.runs:
        yield from _run(run)
    for note in report.notes:
        yield f"note: {visible(note)}"
    found = len(report.all_findings) + sum(run.more_findings for run in report.runs)
    yield f"{found:,} finding{'s' * (found > 1)}" if found else "nothing was found"


def _headed(heading: str, findings: "Sequence[Finding]") -> Iterator[str]:
    if findings:
        yield heading
        for finding in findings:
            yield from _finding(finding)


def _run(run: "RunReport") -> Iterator[str]:
    status = visible(str(run.status or "unknown").replace("_", " "))
    size = f"{run.blocks:,} commits, {run.rows:,} rows, {run.tokens:,} tokens"
    if run.findings:
        yield f"run {run.run_id} ({status}): not as it was written"
        for finding in run.findings:
            yield from _finding(finding)
        if run.more_findings:
            yield f"  and {run.more_findings:,} more"
    else:
        anchored = "" if run.anchored_blocks is None else f", anchored up to commit {run.anchored_blocks:,}"
        yield f"run {run.run_id} ({status}): intact, {size}{anchored}"
    for note in run.notes:
        yield f"  note: {visible(note)}"


def _finding(finding: "Finding") -> Iterator[str]:
    yield f"  {visible(finding.place or 'database')}"
    means = f"; {finding.means}" if finding.means else ""
    yield f"    {visible(finding.what + means)} [{finding.check}]"


def proof_text(found: "ProofReport") -> str:
    """What a proof shows, for reading."""
    if not found.ok:
        return visible(f"{found.path} proves nothing: {found.wrong}")
    data = [] if found.data is None else [found.data.decode("utf-8", "backslashreplace")]
    lines = [f"run {found.run_id}: proven: {found.about}", *(f"  {text}" for text in data)]
    return "\n".join(map(visible, [*lines, *(f"  note: {note}" for note in found.notes)]))


def export_text(found: "ExportReport") -> str:
    """What a verification of an export found, for reading."""
    of = f"of run {found.run_id}" if found.run_id else str(found.path)
    head = f"export {of}: " + ("intact" if found.ok else f"wrong: {found.wrong}")
    lines = [
        head,
        *([f"  at {found.place}"] if found.place else []),
        *(f"  note: {note}" for note in found.notes),
    ]
    return "\n".join(map(visible, lines))
