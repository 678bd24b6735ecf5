"""The tests themselves are SQLAlchemy's."""

from sqlalchemy.testing import config, fixtures
from sqlalchemy.testing.suite import *  # noqa: F403

# What fills several tables cannot be one transaction. The tests themselves run in transactions.
fixtures.TablesTest.setup_bind = classmethod(lambda cls: config.db.execution_options(isolation_level="AUTOCOMMIT"))
