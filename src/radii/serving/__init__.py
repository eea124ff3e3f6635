"""Answers for several callers at once, from one device."""

from radii.serving.desk import BusyError as BusyError
from radii.serving.service import Service as Service
