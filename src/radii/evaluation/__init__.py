"""From a data set to a ledger, and from ledgers to numbers, tables and pictures."""

from radii.evaluation.export import Export as Export
from radii.evaluation.export import Recorded as Recorded
from radii.evaluation.export import open_run as open_run
from radii.evaluation.export import read_export as read_export
from radii.evaluation.export import write_export as write_export
from radii.evaluation.ledger import Ledger as Ledger
from radii.evaluation.ledger import LedgerWriter as LedgerWriter
from radii.evaluation.ledger import Row as Row
from radii.evaluation.metrics import Outcomes as Outcomes
from radii.evaluation.outlook import Outlook as Outlook
from radii.evaluation.run import Run as Run
