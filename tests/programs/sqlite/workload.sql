-- Statements between blank lines; `-- repeat N` runs the next one N times with ?1 = 1..N. Small pages and a small cache make the
-- file work: that is where the suspensions are.

PRAGMA page_size = 1024

PRAGMA cache_size = 16

PRAGMA journal_mode = DELETE

PRAGMA synchronous = FULL

CREATE TABLE author (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  born INTEGER CHECK (born BETWEEN 1000 AND 3000)
)

CREATE TABLE book (
  id INTEGER PRIMARY KEY,
  author INTEGER NOT NULL REFERENCES author (id) ON DELETE CASCADE,
  title TEXT NOT NULL,
  price REAL,
  cover BLOB,
  slug TEXT GENERATED ALWAYS AS (lower(replace(title, ' ', '-'))) VIRTUAL
)

CREATE TABLE log (at INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT, id INTEGER)

CREATE TRIGGER booked AFTER INSERT ON book WHEN new.id % 100 = 0
BEGIN
  INSERT INTO log (what, id) VALUES ('book ' || new.title, new.id);
END

PRAGMA foreign_keys = ON

BEGIN

-- repeat 50
INSERT INTO author VALUES (?1, 'Author ' || substr('ABCDEFGHIJKLMNOPQRSTUVWXYZ', 1 + ?1 % 26, 1) || ?1, 1900 + ?1 * 7 % 100)

-- repeat 10000
INSERT INTO book (id, author, title, price, cover) VALUES (
  ?1,
  1 + ?1 * 7919 % 50,
  'Title ' || (?1 * 31337 % 10007) || CASE WHEN ?1 % 3 THEN ' of the sea' ELSE ' and sand' END,
  round(?1 * 1.37 + (?1 % 17) / 3.0, 2),
  CASE WHEN ?1 % 500 = 0 THEN zeroblob(3000 + ?1) ELSE CAST(printf('%08x', ?1 * 2654435761 % 4294967296) AS BLOB) END
)

COMMIT

CREATE INDEX book_by_author ON book (author, price DESC)

CREATE UNIQUE INDEX book_by_title ON book (title, id)

CREATE INDEX cheap ON book (price) WHERE price < 100

ANALYZE

SELECT count(*), sum(price), min(title), max(title), total(length(cover)) FROM book

SELECT a.name, count(*) AS books, round(avg(b.price), 4), max(b.title)
FROM author a JOIN book b ON b.author = a.id
GROUP BY a.id HAVING books > 10 ORDER BY books DESC, a.name

SELECT a.name, b.title FROM author a LEFT JOIN book b ON b.author = a.id AND b.price BETWEEN 50 AND 60 ORDER BY 1, 2

SELECT id, title FROM book WHERE title LIKE '%99% sea' ORDER BY title LIMIT 40

SELECT id, slug FROM book WHERE slug GLOB 'title-[1-3]?[05]-*d' ORDER BY slug

SELECT x.author, count(*) FROM book x, book y WHERE x.author = y.author AND x.id % 400 = 0 AND y.id % 300 = 0 GROUP BY 1 ORDER BY 1

WITH RECURSIVE fibonacci (n, a, b) AS (
  SELECT 1, 0, 1 UNION ALL SELECT n + 1, b, a + b FROM fibonacci WHERE n < 60
)
SELECT group_concat(a, ' ') FROM fibonacci

WITH RECURSIVE
  span (i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM span WHERE i < 20),
  plane (x, y) AS (SELECT a.i * 0.15 - 2.2, b.i * 0.1 - 1.0 FROM span a, span b),
  escape (x, y, step, re, im) AS (
    SELECT x, y, 0, 0.0, 0.0 FROM plane
    UNION ALL
    SELECT x, y, step + 1, re * re - im * im + x, 2.0 * re * im + y FROM escape WHERE re * re + im * im < 4.0 AND step < 20
  ),
  depth (x, y, steps) AS (SELECT x, y, max(step) FROM escape GROUP BY x, y)
SELECT group_concat(line, char(10)) FROM (
  SELECT group_concat(substr(' .+*#', 1 + min(steps / 5, 4), 1), '') AS line FROM (SELECT * FROM depth ORDER BY y, x) GROUP BY y
)

SELECT author, title, price, rank() OVER w AS place, sum(price) OVER (PARTITION BY author ORDER BY id ROWS 2 PRECEDING)
FROM book WHERE id % 97 = 0 WINDOW w AS (PARTITION BY author % 5 ORDER BY price DESC) ORDER BY author, id

SELECT hex(substr(cover, -8)), typeof(cover), length(cover) FROM book WHERE id % 250 = 0 ORDER BY id

UPDATE book SET price = price * 1.1, title = title || ' (2nd)' WHERE author IN (SELECT id FROM author WHERE born % 3 = 0)

SELECT count(*), round(sum(price), 2) FROM book WHERE title LIKE '%(2nd)'

BEGIN

DELETE FROM book WHERE id BETWEEN 2000 AND 4000

SAVEPOINT inner

UPDATE book SET cover = NULL WHERE id % 2 = 0

SELECT count(*), count(cover) FROM book

ROLLBACK TO inner

SELECT count(*), count(cover) FROM book

ROLLBACK

SELECT count(*), count(cover) FROM book

DELETE FROM author WHERE id % 9 = 0

SELECT author, count(*) FROM book GROUP BY author ORDER BY author

INSERT INTO author VALUES (1, 'twice', 1950)

INSERT INTO author VALUES (70, 'too old', 12)

INSERT INTO author VALUES (71, 'upserted', 2000), (1, 'upserted too', 2001) ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING id, name, born

SELECT what, id FROM log ORDER BY at

CREATE VIEW shelf AS SELECT a.name, json_group_array(b.title) AS titles FROM author a JOIN book b ON b.author = a.id GROUP BY a.id

SELECT a.name, json_array_length('[' || group_concat(b.id) || ']'), json_object('first', min(b.id), 'last', max(b.id))
FROM author a JOIN book b ON b.author = a.id GROUP BY a.id ORDER BY a.name

SELECT strftime('%Y-%m-%d', 'now'), julianday('now') > 2460000, date('2024-02-29', '+1 year'), time('now') = time('now')

SELECT round(sin(1), 6), hex(randomblob(0)), quote(zeroblob(3)), printf('%.3e|%,d', 1234.5678, 9876543)

VACUUM

PRAGMA integrity_check

SELECT name, sql FROM sqlite_master ORDER BY name

EXPLAIN QUERY PLAN SELECT title FROM book WHERE author = 3 AND price > 100
