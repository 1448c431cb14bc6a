"""psycopg 2 through pgring: the Go test beside this folder runs it and reads the exit code. PGHOST and so on say where."""

import io

import psycopg2
import psycopg2.errors
import psycopg2.extras


def autocommit(conn):
    conn.autocommit = True
    with conn.cursor() as cur:
        for i in range(1, 101):
            cur.execute("INSERT INTO customers (id, name) VALUES (%s, %s)", (i, "it's number %d" % i))
            assert cur.rowcount == 1
        cur.execute("SELECT name FROM customers WHERE id = %s", (42,))
        assert cur.fetchall() == [("it's number 42",)]
        cur.execute("SELECT count(*) FROM customers")
        assert cur.fetchone() == (100,)
    conn.autocommit = False


def transactions(conn):
    with conn.cursor() as cur:
        cur.execute("UPDATE customers SET balance = 5 WHERE id = 3")
        conn.rollback()
        cur.execute("SELECT balance FROM customers WHERE id = 3")
        assert cur.fetchone() == (0,)
        cur.execute("UPDATE customers SET balance = 5 WHERE id = 3")
        conn.commit()
        try:
            cur.execute("INSERT INTO customers (id, name) VALUES (3, 'again')")
            raise AssertionError("a duplicate was accepted")
        except psycopg2.errors.UniqueViolation as error:
            assert error.diag.constraint_name == "customers_pkey"
        try:
            cur.execute("SELECT 1")
            raise AssertionError("a failed transaction goes on")
        except psycopg2.errors.InFailedSqlTransaction:
            conn.rollback()
        cur.execute("SELECT balance FROM customers WHERE id = 3")
        assert cur.fetchone() == (5,)
        conn.commit()


def named_cursor(conn):
    """DECLARE and FETCH in a transaction."""
    with conn.cursor("pages") as cur:
        cur.itersize = 100
        cur.execute("SELECT g FROM customers, generate_series(1, 1000) AS g WHERE id = 9 ORDER BY g")
        assert [row[0] for row in cur] == list(range(1, 1001))
    conn.commit()
    with conn.cursor("hold", withhold=True) as cur:
        cur.execute("SELECT g FROM generate_series(1, 1000) AS g")
        assert len(cur.fetchmany(10)) == 10
        conn.commit()
        assert cur.fetchone() == (11,)
    conn.commit()


def copy(conn):
    with conn.cursor() as cur:
        text = "".join("%d,line %d\n" % (i, i) for i in range(1000))
        cur.copy_expert("COPY notes (id, body) FROM STDIN WITH CSV", io.StringIO(text))
        assert cur.rowcount == 1000
        out = io.StringIO()
        cur.copy_expert("COPY (SELECT * FROM notes ORDER BY id) TO STDOUT WITH CSV", out)
        assert out.getvalue() == text
        conn.commit()


def pages(conn):
    """Many statements in one simple query, all of one shard."""
    with conn.cursor() as cur:
        rows = [(17, i, "item") for i in range(500)]
        psycopg2.extras.execute_values(cur, "INSERT INTO orders (customer_id, id, item) VALUES %s", rows, page_size=100)
        psycopg2.extras.execute_batch(cur, "UPDATE orders SET item = 'x' WHERE customer_id = 17 AND id = %s", [(i,) for i in range(500)])
        cur.execute("SELECT count(*) FROM orders WHERE customer_id = 17 AND item = 'x'")
        assert cur.fetchone() == (500,)
    conn.commit()


def main():
    conn = psycopg2.connect("")
    for scenario in (autocommit, transactions, named_cursor, copy, pages):
        scenario(conn)
        print("ok", scenario.__name__)
    conn.close()


main()
