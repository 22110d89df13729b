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
    "timestamp_seconds(x) AS make_timestamp(CAST(round(CAST(x AS DECIMAL(38, 6)) * 1000000, 0) AS BIGINT))",
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
    "log(b, x) AS CASE WHEN x > 0 AND b > 0 THEN "
    "CASE WHEN b = 1 THEN sign(ln(x)) * CAST('Infinity' AS DOUBLE) ELSE log(b, x) END END",
    "asin(x) AS CASE WHEN abs(x) <= 1 THEN asin(x) END",
    "acos(x) AS CASE WHEN abs(x) <= 1 THEN acos(x) END",
    "atanh(x) AS CASE WHEN abs(x) < 1 THEN atanh(x) END",
    "sec(x) AS 1 / cos(x)",
    "csc(x) AS 1 / sin(x)",
    "factorial(n) AS CASE WHEN n BETWEEN 0 AND 20 THEN factorial(CAST(n AS INTEGER)) END",
    "isnan(x) AS coalesce(isnan(x), FALSE)",
    "bit_count(x) AS bit_count(CAST(x AS BIGINT))",
    "whole_quotient(a, b) AS CAST(trunc(a / b) AS BIGINT)",
    "width_bucket(x, low, high, n) AS CASE WHEN n <= 0 OR low = high THEN NULL "
    "WHEN low < high AND x < low OR low > high AND x > low THEN 0 "
    "WHEN low < high AND x >= high OR low > high AND x <= high THEN n + 1 "
    "ELSE CAST(floor(n * (x - low) / (high - low)) AS BIGINT) + 1 END",
    # A double is rounded as it is written: 1.005 is 1.01, though its binary value lies below the half.
    "round_double(x, n) AS coalesce("
    "CAST(round(TRY_CAST(CAST(x AS VARCHAR) AS DECIMAL(38, 15)), n) AS DOUBLE), round(x, n))",
    # Text of a double: scientific from 1e7 and below 1e-3, digits as short as they can be.
    "double_digits(t) AS trim(replace(split_part(t, 'e', 1), '.', ''), '0')",
    "double_exponent(t) AS CASE WHEN contains(t, 'e') THEN CAST(split_part(t, 'e', 2) AS INTEGER) "
    "WHEN t[1] <> '0' THEN strpos(t, '.') - 2 ELSE -(length(t) - length(ltrim(replace(t, '.', ''), '0')) - 1) END",
    "double_scientific(t) AS spark.main.double_digits(t)[1] || '.' || "
    "coalesce(nullif(spark.main.double_digits(t)[2:], ''), '0') || 'E' || spark.main.double_exponent(t)",
    "double_text(x) AS CASE WHEN NOT isfinite(CAST(x AS DOUBLE)) THEN replace(replace(replace(CAST(x AS VARCHAR), "
    "'inf', 'Infinity'), 'nan', 'NaN'), 'InfinityInfinity', 'Infinity') "
    "WHEN x <> 0 AND (abs(x) >= 1e7 OR abs(x) < 1e-3) THEN CASE WHEN x < 0 THEN '-' ELSE '' END || "
    "spark.main.double_scientific(CAST(abs(x) AS VARCHAR)) ELSE CAST(x AS VARCHAR) END",
    # Text to be cast: DuckDB rounds '2.7' to a whole number, needs all of a date and drops a time zone.
    r"try_whole_text(s) AS CASE WHEN regexp_full_match(s, '\s*[+-]?[0-9]+\s*') THEN s END",
    "whole_text(s) AS CASE WHEN s IS NULL THEN NULL ELSE coalesce(spark.main.try_whole_text(s), "
    "error('Could not convert string ''' || s || ''' to a whole number')) END",
    r"date_text(s) AS CASE WHEN regexp_full_match(s, '\s*[0-9]{4}\s*') THEN trim(s) || '-01-01' "
    r"WHEN regexp_full_match(s, '\s*[0-9]{4}-[0-9]{1,2}\s*') THEN trim(s) || '-01' ELSE s END",
    "text_time(s) AS CAST(CAST(spark.main.date_text(s) AS TIMESTAMPTZ) AS TIMESTAMP)",
    "try_text_time(s) AS CAST(TRY_CAST(spark.main.date_text(s) AS TIMESTAMPTZ) AS TIMESTAMP)",
    "seconds(t) AS microsecond(t) / 1000000",
    "to_seconds(t) AS CAST(floor(epoch(CAST(t AS TIMESTAMP))) AS BIGINT)",
    # Months: whole ones as java.time counts them, fractions of 31 days as MONTHS_BETWEEN does.
    "packed_month(d) AS (year(d) * 12 + month(d)) * 32 + day(d)",
    "settled_day(a, b) AS CAST(b AS DATE) + CASE "
    "WHEN CAST(b AS DATE) > CAST(a AS DATE) AND CAST(b AS TIME) < CAST(a AS TIME) THEN -1 "
    "WHEN CAST(b AS DATE) < CAST(a AS DATE) AND CAST(b AS TIME) > CAST(a AS TIME) THEN 1 ELSE 0 END",
    "months_whole(a, b) AS CAST(trunc((spark.main.packed_month(spark.main.settled_day(a, b)) "
    "- spark.main.packed_month(CAST(a AS DATE))) / 32) AS BIGINT)",
    "months_apart(a, b) AS (year(a) - year(b)) * 12 + month(a) - month(b) + CASE WHEN day(a) = day(b) "
    "OR last_day(CAST(a AS DATE)) = CAST(a AS DATE) AND last_day(CAST(b AS DATE)) = CAST(b AS DATE) THEN 0 "
    "ELSE (epoch(a - date_trunc('month', a)) - epoch(b - date_trunc('month', b))) / 2678400 END",
    "months_between(a, b, r := TRUE) AS CASE WHEN r THEN round(spark.main.months_apart(a, b), 8) "
    "ELSE spark.main.months_apart(a, b) END",
    "add_months(d, n) AS CAST(d + to_months(CAST(n AS INTEGER)) AS DATE)",
    # Time zones: a local time that the clocks show twice is the earlier one in Databricks, the later one in ICU.
    "from_utc_timestamp(t, z) AS timezone(z, timezone('UTC', t))",
    "later_utc(t, z) AS timezone('UTC', timezone(z, t))",
    "to_utc_timestamp(t, z) AS CASE "
    "WHEN timezone(z, timezone('UTC', spark.main.later_utc(t, z) - INTERVAL 1 HOUR)) = t "
    "THEN spark.main.later_utc(t, z) - INTERVAL 1 HOUR ELSE spark.main.later_utc(t, z) END",
    "left(s, n) AS left(s, CASE WHEN n < 0 THEN 0 ELSE n END)",
    "right(s, n) AS right(s, CASE WHEN n < 0 THEN 0 ELSE n END)",
    "text_start(s, p) AS CASE WHEN p > 0 THEN p - 1 WHEN p < 0 THEN length(s) + p ELSE 0 END",
    "substring_from(s, p) AS CASE WHEN p IS NOT NULL THEN "
    "substring(s, greatest(spark.main.text_start(s, p), 0) + 1) END",
    "substring(s, p, l) AS CASE WHEN p IS NOT NULL AND l IS NOT NULL THEN substring(s, "
    "greatest(spark.main.text_start(s, p), 0) + 1, greatest(l + least(spark.main.text_start(s, p), 0), 0)) END",
    "locate(x, s, p) AS CASE WHEN x IS NULL OR s IS NULL THEN NULL WHEN p IS NULL OR p < 1 THEN 0 "
    "WHEN strpos(substring(s, p), x) = 0 THEN 0 ELSE strpos(substring(s, p), x) + p - 1 END",
    "split_part(s, d, n) AS CASE WHEN n = 0 THEN error('the index 0 is invalid') ELSE split_part(s, d, n) END",
    "chr(n) AS CASE WHEN n < 0 THEN '' ELSE chr(CAST(n % 256 AS INTEGER)) END",
    "array_position(a, x) AS CASE WHEN a IS NOT NULL AND x IS NOT NULL THEN coalesce(list_position(a, x), 0) END",
    "array_contains(a, x) AS CASE WHEN list_contains(a, x) THEN TRUE WHEN x IS NULL OR len(a) > list_count(a) "
    "THEN NULL ELSE list_contains(a, x) END",
    "array_remove(a, v) AS list_filter(a, lambda x: x IS DISTINCT FROM v)",
    "array_sort(a) AS list_sort(a, 'ASC', 'NULLS LAST')",
    "get_json_object(s, p) AS CASE WHEN json_valid(s) THEN s ->> p END",
    "unix_seconds(t) AS CAST(floor(epoch(t)) AS BIGINT)",
    "pad_text(s, n) AS left(s, CASE WHEN n < 0 THEN 0 ELSE n END)",
    "item(a, i) AS CASE WHEN a IS NULL OR i IS NULL THEN NULL "
    "WHEN i < 0 OR i >= len(a) THEN error('the array has no such item') ELSE a[i + 1] END",
    "get(a, i) AS CASE WHEN i >= 0 THEN a[i + 1] END",
    "sequence(a, b) AS CASE WHEN b < a THEN generate_series(a, b, -1) ELSE generate_series(a, b) END",
    "arrays_overlap(a, b) AS list_has_any(a, b)",
    "array_distinct(a) AS list_filter(a, lambda x, i: coalesce(list_position(a, x), i) = i)",
    "array_union(a, b) AS spark.main.array_distinct(list_concat(a, b))",
    "array_repeat(x, n) AS list_transform(range(CAST(n AS BIGINT)), lambda i: x)",
    "json_array_length(s) AS CASE WHEN json_valid(s) AND json_type(s) = 'ARRAY' THEN json_array_length(s) END",
    "url_encode(s) AS replace(url_encode(s), '%20', '+')",
    "url_decode(s) AS url_decode(replace(s, '+', ' '))",
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
    "find_in_set(s, l) AS CASE WHEN s IS NOT NULL AND l IS NOT NULL THEN "
    "coalesce(list_position(string_split(l, ','), s), 0) END",
    "format_number(x, d) AS format('{:,.' || d || 'f}', CAST(x AS DOUBLE))",
)

# Full macro name by lower-case function name.
MACRO_OF = {macro.split("(", 1)[0]: f"spark.main.{macro.split('(', 1)[0]}" for macro in MACROS}
