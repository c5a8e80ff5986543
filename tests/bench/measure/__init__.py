"""What tests/bench/run is made of.

    rows     Row: what is measured, its values over the rounds, its target; the table and the JSON
    raw      raw limits: bench_disk and bench_pingpong
    load     a gateway of its own for each row, mllpctl send, CPU and memory; the accounting
    stores   where messages go: nghttpd, and an address where nobody listens
    special  idle connections; a long queue
"""
