"""The load: `wrk` for throughput, `paced` for latency at a fixed rate, `streams` for answers in many pieces."""
