"""An instance of which no daemon makes ticks, for tests of the others."""

NO_TICKS = """
scheduler:
  module: runwire.schedulers.daemon
  class: DaemonScheduler
  config: {enabled: false}
"""
