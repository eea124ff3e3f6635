"""Runs as tables, curves, pictures and one page to read."""

from radii.evaluation.report.attack_pictures import AttackPicture as AttackPicture
from radii.evaluation.report.attack_pictures import attack_pictures_of as attack_pictures_of
from radii.evaluation.report.attacks import AttackSummary as AttackSummary
from radii.evaluation.report.attacks import Pair as Pair
from radii.evaluation.report.figure import as_png as as_png
from radii.evaluation.report.figure import as_svg as as_svg
from radii.evaluation.report.figure import distribution as distribution
from radii.evaluation.report.figure import figure as figure
from radii.evaluation.report.groups import Group as Group
from radii.evaluation.report.groups import Mean as Mean
from radii.evaluation.report.html import as_html as as_html
from radii.evaluation.report.latex import as_latex as as_latex
from radii.evaluation.report.model_card import model_card as model_card
from radii.evaluation.report.pictures import Picture as Picture
from radii.evaluation.report.pictures import pictures_of as pictures_of
from radii.evaluation.report.reading import AttackedRun as AttackedRun
from radii.evaluation.report.reading import CertifiedRun as CertifiedRun
from radii.evaluation.report.reading import read as read
from radii.evaluation.report.report import Report as Report
from radii.evaluation.report.site import find_runs as find_runs
from radii.evaluation.report.site import read_runs as read_runs
from radii.evaluation.report.site import write_site as write_site
from radii.evaluation.report.summary import Summary as Summary
from radii.evaluation.report.text import as_csv as as_csv
from radii.evaluation.report.text import as_json as as_json
from radii.evaluation.report.text import as_markdown as as_markdown
