"""What happens next: a pure machine that takes outcomes in and gives events out.

It knows no clock, no file and no thread. Time comes in as an argument, data stays with the engine, and the
state is nothing but the fold of the events, so that any prefix of a run's record gives back the state of then.

    state         what is going on
    evolve        how each event changes it
    tokens        sequences of tokens: taking some out, ordering, run lengths
    work          what the engine is asked to do, and what it may answer
    decide        the next piece of work; the decisions that need nobody's work
    settle        what an answer comes to
    sinks         what has come to the sinks
    gates         labels to moves
    aggregation   which rows join a batch now
    triggers      when a batch is due
    coalesce      when a fork's branches merge, by policy
    scheduler     the door: all of the above around one state
"""
