-- Many holds in one statement: each gets its units if those before it left enough. Cells are locked in order, so that
-- two of these never wait for each other.
WITH asked AS (
  SELECT id, cell, quantity, sum(quantity) OVER (PARTITION BY cell ORDER BY place) AS up_to
  FROM unnest($1::uuid[], $2::int[], $3::int[]) WITH ORDINALITY AS asked (id, cell, quantity, place)
), locked AS MATERIALIZED (
  SELECT cell, on_hand - held AS available FROM cell WHERE cell = ANY ($2::int[]) ORDER BY cell FOR UPDATE
), granted AS MATERIALIZED (
  SELECT id, cell, quantity FROM asked JOIN locked USING (cell) WHERE up_to <= available
), taken AS (
  UPDATE cell SET held = held + sums.quantity
  FROM (SELECT cell, sum(quantity)::int AS quantity FROM granted GROUP BY cell) AS sums
  WHERE cell.cell = sums.cell
)
INSERT INTO hold SELECT id, cell, quantity, now() + $4 * interval '1 ms' FROM granted
