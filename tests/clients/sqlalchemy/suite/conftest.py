"""SQLAlchemy's tests for dialects, on PostgreSQL's own dialect without what a warehouse lacks: see `warehouse.py` and `requirements.py`."""

from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: F403
from sqlalchemy.testing.plugin import pytestplugin

import warehouse

# Fewer tests that pass are a fault: something keeps the suite from running.
FLOOR = 580

warehouse.adapt()


def pytest_collection_modifyitems(session, config, items):
    pytestplugin.pytest_collection_modifyitems(session, config, items)
    left_out = [item for item in items if warehouse.leaves_out(item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter):
    passed = len(terminalreporter.stats.get("passed", []))
    if passed < FLOOR and not terminalreporter.config.option.keyword:
        terminalreporter.write_line(f"only {passed} tests have passed, of at least {FLOOR}")
        terminalreporter._session.exitstatus = 1
