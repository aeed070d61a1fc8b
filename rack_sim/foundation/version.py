"""Version: which rack-sim this is."""

from importlib.metadata import PackageNotFoundError, version

try:
    VERSION = version("rack-sim")
except PackageNotFoundError:  # a checkout on the path, not installed
    VERSION = "0+unknown"
