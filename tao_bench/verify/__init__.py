"""Verifiers: one file each, over `tao.answers` and `tao.sql`."""
