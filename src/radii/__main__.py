"""`python -m radii`, as `torchrun -m radii` starts it."""

from radii.cli.main import main

main()
