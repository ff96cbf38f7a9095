"""Whether a record is what it was when it was written: everything is read once, and compared with itself.

The blocks of a run are computed again from its rows, and each names the one before. So a change anywhere shows,
unless the whole rest of the chain was written anew; that shows against a receipt that was kept elsewhere.
"""

from frame.audit.verify.report import RECEIPT, Anchor, Finding, Report, RunReport
from frame.audit.verify.verification import verify_store

__all__ = ["RECEIPT", "Anchor", "Finding", "Report", "RunReport", "verify_store"]
