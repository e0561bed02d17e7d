"""The synthetic corpus: sounds made of elementary waveforms, recorded in a room, written in FSDnoisy18k's layout.

`corpus` is what others call.
"""
