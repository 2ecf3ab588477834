"""The files that an installation is deployed with."""
