"""Published question answering over financial reports: FinanceBench, TAT-QA, FinQA as tasks."""
