"""The shipped reference models and how they were made: small Llamas that play a general model meeting enterprise work.

`model/` is reference@1 (`pretrain.py`), `model_2/` reference@2 (`extend.py`, then `pretrain_suite.py`); their logs lie
beside them, and `tao_bench.models` names them.
"""
