"""`python -m webui`: serve the web page as the environment's settings say."""

import sys

from tellapart.errors import TellapartError
from tellapart.settings import load_settings
from webui.server import run

if __name__ == "__main__":
    try:
        run(load_settings())
    except TellapartError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
