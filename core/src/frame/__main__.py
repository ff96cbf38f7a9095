"""`python -m frame`."""

from frame.cli.main import main

if __name__ == "__main__":
    main(prog_name="frame")
