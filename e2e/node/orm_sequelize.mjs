// Sequelize through pgring: the Go test beside this folder runs it and reads the exit code. PGHOST and so on say where.
import assert from 'node:assert/strict'
import { DataTypes, Op, Sequelize } from 'sequelize'

const db = new Sequelize(process.env.PGDATABASE, process.env.PGUSER, process.env.PGPASSWORD, {
  host: process.env.PGHOST, port: process.env.PGPORT, dialect: 'postgres', logging: false, define: { timestamps: false }
})

const User = db.define('user', { id: { type: DataTypes.INTEGER, primaryKey: true }, name: DataTypes.STRING, age: DataTypes.INTEGER })
const Post = db.define('post', { user_id: { type: DataTypes.INTEGER, primaryKey: true }, id: { type: DataTypes.INTEGER, primaryKey: true }, title: DataTypes.STRING })
const Region = db.define('region', { code: { type: DataTypes.STRING, primaryKey: true }, name: DataTypes.STRING })
const Audit = db.define('audit', { note: DataTypes.TEXT, at: DataTypes.DATE, extra: DataTypes.JSONB })
const Member = db.define('member', { name: DataTypes.STRING }) // with Sequelize's own key
User.hasMany(Post, { foreignKey: 'user_id' })
Post.belongsTo(User, { foreignKey: 'user_id' })

async function create() {
  await db.authenticate()
  for (let i = 0; i < 2; i++) await db.sync()
  const users = []
  const posts = []
  for (let id = 1; id <= 20; id++) {
    users.push({ id, name: `user ${id}`, age: 20 + id % 5 })
    posts.push({ user_id: id, id: 1, title: 'first' }, { user_id: id, id: 2, title: 'second' })
  }
  await User.bulkCreate(users)
  await Post.bulkCreate(posts)
  await Region.bulkCreate([{ code: 'de', name: 'Germany' }, { code: 'fr', name: 'France' }])
  const audit = await Audit.create({ note: 'made', at: new Date(0), extra: { a: [1] } })
  assert.equal(audit.id, 1)
  await assert.rejects(User.create({ id: 1, name: 'again' }), { name: 'SequelizeUniqueConstraintError' })
}

async function read() {
  assert.equal((await User.findByPk(7)).name, 'user 7')
  assert.equal(await User.findByPk(999), null)
  assert.equal(await User.count({ where: { age: { [Op.gt]: 21 } } }), 12)
  const withPosts = await User.findAll({ where: { id: 7 }, include: Post, order: [[Post, 'id', 'DESC']] })
  assert.deepEqual(withPosts[0].posts.map(post => post.title), ['second', 'first'])
  const all = await User.findAll({ include: Post, order: ['id', [Post, 'id']] })
  assert.equal(all.length, 20)
  assert.ok(all.every(user => user.posts.length === 2))
  const page = await User.findAndCountAll({ where: { name: { [Op.like]: 'user 1%' } }, order: [['name', 'DESC']], limit: 3, offset: 1 })
  assert.equal(page.count, 11)
  assert.deepEqual(page.rows.map(user => user.name), ['user 18', 'user 17', 'user 16'])
  const groups = await User.findAll({ attributes: ['age', [db.fn('count', db.col('id')), 'n']], group: 'age', order: ['age'], raw: true })
  assert.deepEqual(groups.map(group => group.n), ['4', '4', '4', '4', '4'])
  assert.equal(await User.max('age'), 24)
  const mean = await User.findOne({ attributes: [[db.fn('avg', db.col('age')), 'mean']], raw: true })
  assert.equal(Number(mean.mean), 22)
}

async function write() {
  const user = await User.findByPk(3)
  await user.update({ name: 'three' })
  await user.increment('age', { by: 2 })
  assert.equal((await user.reload()).age, 25)
  const [changed] = await User.update({ age: 60 }, { where: { age: 21 } })
  assert.equal(changed, 4)
  await User.upsert({ id: 4, name: 'four', age: 44 })
  await User.bulkCreate([{ id: 4, name: 'vier' }, { id: 41, name: 'new' }, { id: 42, name: 'new' }], { updateOnDuplicate: ['name'] })
  assert.equal((await User.findByPk(4)).name, 'vier')
  // findOrCreate makes a temporary function on one server, whatever shard the row is for.
  await assert.rejects(User.findOrCreate({ where: { id: 50 }, defaults: { name: 'fifty' } }), error =>
    error.original.code === '0A000' && /temporary functions/.test(error.message) && /findCreateFind/.test(error.original.hint))
  const [made, created] = await User.findCreateFind({ where: { id: 50 }, defaults: { name: 'fifty' } })
  assert.deepEqual([made.name, created], ['fifty', true])
  assert.equal(await Post.destroy({ where: { id: 2, user_id: [18, 19, 20] } }), 3)
  assert.equal(await Post.count(), 37)
}

async function keys() {
  const one = await Member.create({ name: 'one' })
  const many = await Member.bulkCreate([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
  for (const member of [one, ...many]) {
    assert.ok(BigInt(member.id) > 2n ** 40n) // JavaScript has no numbers so large: the driver gives strings
    assert.equal((await Member.findByPk(member.id)).name, member.name)
  }
  assert.equal(await Member.count(), 4)
}

async function transactions() {
  await db.transaction(async transaction => {
    await Post.create({ user_id: 6, id: 10, title: 'kept' }, { transaction })
    await User.update({ age: 66 }, { where: { id: 6 }, transaction })
  })
  await assert.rejects(db.transaction(async transaction => {
    await Post.destroy({ where: { user_id: 6 }, transaction })
    throw new Error('undo')
  }), { message: 'undo' })
  assert.equal(await Post.count({ where: { user_id: 6 } }), 3)
  assert.equal((await User.findByPk(6)).age, 66)
}

try {
  for (const part of [create, read, write, keys, transactions]) await part()
} finally {
  await db.close()
}
console.log('sequelize: all parts passed')
