-- Room on each page for new versions of its rows, so that a hold changes no index of the cells.
CREATE TABLE cell (cell int PRIMARY KEY, on_hand int NOT NULL, held int NOT NULL DEFAULT 0) WITH (fillfactor = 50);
CREATE TABLE hold (id uuid PRIMARY KEY, cell int NOT NULL, quantity int NOT NULL, deadline timestamptz NOT NULL);
CREATE INDEX hold_deadline ON hold (deadline);
