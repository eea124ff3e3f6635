"""Runs as tables, curves, pictures and one page to read."""

from radii.evaluation.report.figure import as_png as as_png
from radii.evaluation.report.figure import as_svg as as_svg
from radii.evaluation.report.figure import distribution as distribution
from radii.evaluation.report.figure import figure as figure
from radii.evaluation.report.groups import Group as Group
from radii.evaluation.report.groups import Mean as Mean
from radii.evaluation.report.html import as_html as as_html
from radii.evaluation.report.pictures import Picture as Picture
from radii.evaluation.report.pictures import pictures_of as pictures_of
from radii.evaluation.report.summary import Report as Report
from radii.evaluation.report.summary import Summary as Summary
from radii.evaluation.report.text import as_csv as as_csv
from radii.evaluation.report.text import as_json as as_json
from radii.evaluation.report.text import as_latex as as_latex
from radii.evaluation.report.text import as_markdown as as_markdown
