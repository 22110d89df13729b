"""SQL that knows the gold: porting and rewriting of golds. What needs no gold lives in `tao.sql`."""
