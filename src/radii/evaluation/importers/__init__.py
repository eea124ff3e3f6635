"""Readers of published results, which become ledgers."""

from radii.evaluation.importers.base import Columns as Columns
from radii.evaluation.importers.base import Imported as Imported
from radii.evaluation.importers.base import Settings as Settings
from radii.evaluation.importers.base import Terms as Terms
from radii.evaluation.importers.fit import CountTable as CountTable
from radii.evaluation.importers.fit import Printed as Printed
from radii.evaluation.importers.pattern import Found as Found
from radii.evaluation.importers.pattern import Pattern as Pattern
from radii.evaluation.importers.rs4a import read_rs4a as read_rs4a
from radii.evaluation.importers.tree import Written as Written
from radii.evaluation.importers.tree import import_results as import_results
from radii.evaluation.importers.tsv import read_tsv as read_tsv
