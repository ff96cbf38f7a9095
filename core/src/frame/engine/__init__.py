"""Effects: reading the source, calling plugins, writing sinks, in the order that loses nothing.

runner       the loop: a chunk in, through the nodes, committed, written
recorder     what the engine needs of a record
reader       a chunk of source rows, by number or by time
admission    source rows against their schema
inflight     the data of the tokens under way
spool        the data of tokens that wait in a batch, beyond memory
nodes        a plugin at its node, from start to close
context      what a plugin may ask
calls        one call after another, watched from outside
attempts     retries, timeouts, breakers, limits, many calls at a time
breaker, limits, workers, failures, redaction    what these are made of
executors/   one for each kind of work
"""
