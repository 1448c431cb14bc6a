"""psycopg 3 through pgring: the Go test beside this folder runs it and reads the exit code. PGHOST and so on say where."""

import psycopg
from psycopg import errors


def statements(conn):
    """The driver prepares a statement when it has run it five times."""
    for i in range(1, 101):
        conn.execute("INSERT INTO customers (id, name) VALUES (%s, %s)", (i, "psycopg"))
    assert conn.execute("SELECT count(*) FROM customers").fetchone() == (100,)


def prepare_threshold(conn):
    for threshold in (0, 5, None):
        conn.prepare_threshold = threshold
        for i in range(1, 51):
            assert conn.execute("SELECT id FROM customers WHERE id = %s", (i,)).fetchone() == (i,)
    conn.prepare_threshold = 5


def binary(conn):
    for i in range(1, 21):
        cur = conn.execute("SELECT id, name, now() FROM customers WHERE id = %b", (i,), binary=True)
        assert cur.fetchone()[:2] == (i, "psycopg")


def transactions(conn):
    with conn.transaction():
        conn.execute("UPDATE customers SET balance = 9 WHERE id = 9")
        try:
            with conn.transaction():  # a savepoint
                conn.execute("INSERT INTO customers (id, name) VALUES (9, 'again')")
            raise AssertionError("a duplicate was accepted")
        except errors.UniqueViolation:
            pass
    assert conn.execute("SELECT balance FROM customers WHERE id = 9").fetchone() == (9,)


def pipeline(conn):
    with conn.pipeline() as pipe:
        for i in range(200):
            conn.execute("INSERT INTO orders (customer_id, id, item) VALUES (%s, %s, 'p')", (5, i))
        pipe.sync()
        cursors = [conn.execute("SELECT id FROM customers WHERE id = %s", (i,)) for i in range(1, 101)]
        assert [cur.fetchone()[0] for cur in cursors] == list(range(1, 101))
    assert conn.execute("SELECT count(*) FROM orders WHERE customer_id = 5").fetchone() == (200,)
    try:
        with conn.pipeline():
            conn.execute("SELECT 1")
            conn.execute("SELECT 1/0")
            conn.execute("SELECT 2")
        raise AssertionError("a pipeline with an error ended well")
    except errors.DivisionByZero:
        pass
    assert conn.execute("SELECT 3").fetchone() == (3,)


def server_cursors(conn):
    with conn.transaction():
        with conn.cursor("pages") as cur:
            cur.execute("SELECT g FROM customers, generate_series(1, 1000) AS g WHERE id = 9 ORDER BY g")
            assert cur.fetchmany(10)[-1] == (10,)
            cur.scroll(100)
            assert cur.fetchone() == (111,)
            cur.itersize = 50
            assert len(list(cur)) == 889


def copy(conn):
    with conn.cursor() as cur:
        with cur.copy("COPY notes (id, body) FROM STDIN (FORMAT binary)") as to:
            to.set_types(["int8", "text"])
            for i in range(1000):
                to.write_row((i, "line %d" % i))
        with cur.copy("COPY (SELECT id FROM notes ORDER BY id) TO STDOUT") as rows:
            assert [int(row[0]) for row in rows.rows()] == list(range(1000))


def main():
    with psycopg.connect("", autocommit=True) as conn:
        for scenario in (statements, prepare_threshold, binary, transactions, pipeline, server_cursors, copy):
            scenario(conn)
            print("ok", scenario.__name__)


main()
