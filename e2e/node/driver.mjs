// node-postgres through pgring: the Go test beside this folder runs it and reads the exit code. PGHOST and so on say where.
import assert from 'node:assert/strict'
import pg from 'pg'
import Cursor from 'pg-cursor'

async function parameters(client) {
  for (let id = 1; id <= 100; id++) {
    const done = await client.query('INSERT INTO customers (id, name, balance) VALUES ($1, $2, $3) RETURNING id', [id, `node ${id}`, id * 3])
    assert.equal(done.rows[0].id, String(id))
  }
  const found = await client.query('SELECT name, balance FROM customers WHERE id = $1', [42])
  assert.deepEqual(found.rows, [{ name: 'node 42', balance: '126' }])
  const all = await client.query('SELECT count(*) AS n FROM customers')
  assert.equal(all.rows[0].n, '100')
  const listed = await client.query('SELECT id FROM customers ORDER BY id LIMIT 3 OFFSET 10')
  assert.deepEqual(listed.rows.map(row => row.id), ['11', '12', '13'])
}

async function prepared(client) {
  const statement = { name: 'by-id', text: 'SELECT name FROM customers WHERE id = $1' }
  for (let id = 1; id <= 100; id++) {
    const found = await client.query({ ...statement, values: [id] })
    assert.equal(found.rows[0].name, `node ${id}`)
  }
}

async function transactions(client) {
  await client.query('BEGIN')
  await client.query('UPDATE customers SET balance = 0 WHERE id = $1', [7])
  await client.query('ROLLBACK')
  const kept = await client.query('SELECT balance FROM customers WHERE id = 7')
  assert.equal(kept.rows[0].balance, '21')
  await client.query('BEGIN')
  await client.query('INSERT INTO orders (customer_id, id, item) VALUES ($1, 1, $2)', [7, 'book'])
  await client.query('UPDATE customers SET balance = balance - 1 WHERE id = $1', [7])
  await client.query('COMMIT')
  const changed = await client.query('SELECT balance, item FROM customers JOIN orders ON customer_id = customers.id WHERE customers.id = 7')
  assert.deepEqual(changed.rows, [{ balance: '20', item: 'book' }])
}

async function errors(client) {
  await assert.rejects(client.query('INSERT INTO customers (id, name) VALUES ($1, $2)', [1, 'again']), { code: '23505', constraint: 'customers_pkey', table: 'customers' })
  await assert.rejects(client.query('SELEC 1'), { code: '42601', position: '1' })
  const several = await client.query('SELECT 1 AS a; SELECT 2 AS b')
  assert.deepEqual(several.map(result => result.rows[0]), [{ a: 1 }, { b: 2 }])
}

// A cursor is a portal that is read in pieces, so the server is left in the middle of it.
async function cursors(client) {
  const texts = ['SELECT g FROM generate_series(1, 1000) AS g', 'SELECT g FROM customers, generate_series(1, 1000) AS g WHERE id = 9 ORDER BY g']
  for (const text of texts) {
    const cursor = client.query(new Cursor(text))
    let seen = 0
    for (let rows = await cursor.read(64); rows.length > 0; rows = await cursor.read(64)) {
      for (const row of rows) assert.equal(row.g, ++seen)
    }
    assert.equal(seen, 1000)
    await cursor.close()
    const early = client.query(new Cursor(text))
    assert.equal((await early.read(10)).length, 10)
    await early.close()
  }
  assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1)
}

async function pools() {
  const pool = new pg.Pool({ max: 20, ssl: false })
  const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => pool.query('SELECT id FROM customers WHERE id = $1', [1 + (i % 100)])))
  answers.forEach((answer, i) => assert.equal(answer.rows[0].id, String(1 + (i % 100))))
  await pool.end()
}

async function notifications(client) {
  const heard = new Promise(resolve => client.once('notification', resolve))
  await client.query('LISTEN node_news')
  const other = new pg.Client({ ssl: false })
  await other.connect()
  await other.query("SELECT pg_notify('node_news', 'hello')")
  await other.end()
  assert.equal((await heard).payload, 'hello')
}

const client = new pg.Client({ ssl: false })
await client.connect()
for (const scenario of [parameters, prepared, transactions, errors, cursors, pools, notifications]) {
  await scenario(client)
  console.log('ok', scenario.name)
}
await client.end()
