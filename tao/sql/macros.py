"""Databricks functions that DuckDB lacks or gives another meaning, as macros of the emulator.

They live in a database of their own (`spark`), so that no instance pays for them, and are called by
their full name, so that none shadows what DuckDB has.
"""

from __future__ import annotations

MACROS = (
    "pmod(a, b) AS CASE WHEN a % b < 0 THEN (a % b + b) % b ELSE a % b END",
    "isnotnull(x) AS x IS NOT NULL",
    "isnull(x) AS x IS NULL",
    "weekday(d) AS isodow(CAST(d AS DATE)) - 1",
    "dayname(d) AS left(dayname(CAST(d AS DATE)), 3)",
    "monthname(d) AS left(monthname(CAST(d AS DATE)), 3)",
    "timestamp_seconds(x) AS make_timestamp(CAST(x AS BIGINT) * 1000000)",
    "timestamp_millis(x) AS make_timestamp(CAST(x AS BIGINT) * 1000)",
    "timestamp_micros(x) AS make_timestamp(CAST(x AS BIGINT))",
    "try_to_date(s) AS TRY_CAST(s AS DATE)",
    "try_to_timestamp(s) AS TRY_CAST(s AS TIMESTAMP)",
    "to_timestamp_ntz(s) AS CAST(s AS TIMESTAMP)",
    "to_timestamp_ltz(s) AS CAST(s AS TIMESTAMP)",
    "regexp(s, p) AS regexp_matches(s, p)",
    "rint(x) AS round_even(x, 0)",
    "bround(x, n := 0) AS round_even(x, n)",
    # Out of their domain these are NULL or NaN in Databricks (NaN is NULL once canonical), errors in DuckDB.
    "sqrt(x) AS CASE WHEN x >= 0 THEN sqrt(x) END",
    "ln(x) AS CASE WHEN x > 0 THEN ln(x) END",
    "log(b, x) AS CASE WHEN x > 0 AND b > 0 THEN log(b, x) END",
    "log1p(x) AS CASE WHEN x > -1 THEN ln(1 + x) END",
    "expm1(x) AS exp(x) - 1",
    "e() AS exp(1)",
    "hypot(a, b) AS sqrt(a * a + b * b)",
    "negative(x) AS -x",
    "positive(x) AS x",
    "nanvl(a, b) AS CASE WHEN isnan(a) THEN b ELSE a END",
    "zeroifnull(x) AS coalesce(x, 0)",
    "nullifzero(x) AS nullif(x, 0)",
    "try_add(a, b) AS TRY(a + b)",
    "try_subtract(a, b) AS TRY(a - b)",
    "try_multiply(a, b) AS TRY(a * b)",
    "try_mod(a, b) AS TRY(a % b)",
    "btrim(s, c := ' ') AS trim(s, c)",
    "octet_length(s) AS strlen(s)",
    "regexp_substr(s, p) AS nullif(regexp_extract(s, p), '')",
    "substring_index(s, d, n) AS array_to_string("
    "CASE WHEN n > 0 THEN string_split(s, d)[1:n] WHEN n < 0 THEN string_split(s, d)[n:] ELSE [] END, d)",
    "find_in_set(s, l) AS coalesce(list_position(string_split(l, ','), s), 0)",
    "format_number(x, d) AS format('{:,.' || d || 'f}', CAST(x AS DOUBLE))",
)

# Full macro name by lower-case function name.
MACRO_OF = {macro.split("(", 1)[0]: f"spark.main.{macro.split('(', 1)[0]}" for macro in MACROS}
