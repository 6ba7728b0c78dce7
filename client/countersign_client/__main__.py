import sys

from countersign_client.cli import main

sys.exit(main())
