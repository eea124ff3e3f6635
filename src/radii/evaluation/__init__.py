"""From a data set to a ledger, and from ledgers to numbers, tables and pictures."""

from radii.evaluation.attack_export import Attacked as Attacked
from radii.evaluation.attack_export import AttackExport as AttackExport
from radii.evaluation.attack_export import is_attack_run as is_attack_run
from radii.evaluation.attack_export import open_attack_run as open_attack_run
from radii.evaluation.attack_export import read_attack_export as read_attack_export
from radii.evaluation.attack_ledger import AttackLedger as AttackLedger
from radii.evaluation.attack_ledger import AttackLedgerWriter as AttackLedgerWriter
from radii.evaluation.attack_ledger import AttackRow as AttackRow
from radii.evaluation.attack_run import AttackRun as AttackRun
from radii.evaluation.exact_cost import share_lost as share_lost
from radii.evaluation.export import Export as Export
from radii.evaluation.export import Recorded as Recorded
from radii.evaluation.export import holds_run as holds_run
from radii.evaluation.export import open_run as open_run
from radii.evaluation.export import read_export as read_export
from radii.evaluation.export import write_export as write_export
from radii.evaluation.hub import push_to_hub as push_to_hub
from radii.evaluation.ledger import Ledger as Ledger
from radii.evaluation.ledger import LedgerWriter as LedgerWriter
from radii.evaluation.ledger import Row as Row
from radii.evaluation.metrics import Outcomes as Outcomes
from radii.evaluation.outlook import Outlook as Outlook
from radii.evaluation.rereading import readings_of as readings_of
from radii.evaluation.run import Run as Run
