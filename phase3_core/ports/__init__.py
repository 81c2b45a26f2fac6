"""What the use cases need of the outside world; adapters live in `resources`, fakes in `tests/fakes`.

Each module holds the ports of one idea, with what only they speak of. Rules do not belong here.
"""
