"""crmcli: a command-line CRM that keeps a sales team's client base in a folder of encrypted files."""

__version__ = "0.1.0"
