"""Measurements of Outgate, and nothing else: ``python -m benchmarks`` prints them all.

Figures are compared with a baseline that is taken in the same run, round by round, because machines
drift; what is quoted is the median of the ratios of the rounds.
"""
