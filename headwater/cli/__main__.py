"""`python -m headwater.cli`: the same as the `headwater` command."""

from headwater.cli.main import app

if __name__ == "__main__":
    app(prog_name="headwater")
