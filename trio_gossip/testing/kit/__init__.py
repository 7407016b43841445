"""Real clusters in one process, on a network and a clock that a test commands.

Where to look, each file resting on those to its right::

    report  <-  network  <-  members  <-  faulty  <-  faults
                   |
                processes  <-  wire  <-  gate

``network`` starts members, ``members`` kills, pauses and restarts them, ``processes`` holds one of
them, ``wire`` is what it sees of the network. ``faulty`` has the calls that injure links, and
``faults`` works out what follows from all that are in force.
"""
