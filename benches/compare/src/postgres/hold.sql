-- Take if enough, in one statement and so in one transaction. An id that was used fails on the key, and with it the take.
WITH taken AS (
  UPDATE cell SET held = held + $3 WHERE cell = $2 AND on_hand - held >= $3 RETURNING cell
)
INSERT INTO hold SELECT $1, cell, $3, now() + $4 * interval '1 ms' FROM taken
