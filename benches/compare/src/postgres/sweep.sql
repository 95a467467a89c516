-- Give back what is due, cells locked in the order that holds lock them.
WITH due AS MATERIALIZED (
  DELETE FROM hold WHERE deadline <= now() RETURNING cell, quantity
), sums AS MATERIALIZED (
  SELECT cell, sum(quantity)::int AS quantity FROM due GROUP BY cell
), locked AS MATERIALIZED (
  SELECT cell FROM cell WHERE cell IN (SELECT cell FROM sums) ORDER BY cell FOR UPDATE
)
UPDATE cell SET held = held - sums.quantity FROM sums JOIN locked USING (cell) WHERE cell.cell = sums.cell
