"""SQLAlchemy through pgring: the Go test beside this folder runs it and reads the exit code. PGHOST and so on say where."""

from sqlalchemy import (BigInteger, Column, ForeignKey, Integer, Text, create_engine, exc, func, inspect, select, update)
from sqlalchemy.orm import Session, declarative_base, joinedload, relationship, selectinload

Base = declarative_base()


class User(Base):
    __tablename__ = "users"
    id = Column(BigInteger, primary_key=True, autoincrement=False)
    name = Column(Text, nullable=False)
    age = Column(Integer)
    posts = relationship("Post", back_populates="user", order_by="Post.id")


class Post(Base):
    __tablename__ = "posts"
    user_id = Column(BigInteger, ForeignKey("users.id"), primary_key=True, autoincrement=False)
    id = Column(BigInteger, primary_key=True, autoincrement=False)
    title = Column(Text)
    user = relationship("User", back_populates="posts")


class Region(Base):
    __tablename__ = "regions"
    code = Column(Text, primary_key=True)
    name = Column(Text)


class Member(Base):
    __tablename__ = "members"
    id = Column(Integer, primary_key=True)  # made by the database, as bigint
    name = Column(Text)


class Audit(Base):
    __tablename__ = "audits"
    id = Column(Integer, primary_key=True)
    note = Column(Text)


def schema(engine):
    for _ in range(2):  # DDL on several shards is not for transaction blocks
        Base.metadata.create_all(engine.execution_options(isolation_level="AUTOCOMMIT"))
    columns = inspect(engine).get_columns("posts")
    assert [column["name"] for column in columns] == ["user_id", "id", "title"], columns
    assert inspect(engine).get_pk_constraint("posts")["constrained_columns"] == ["user_id", "id"]


def create(engine):
    with Session(engine) as session:
        for i in range(1, 21):
            session.add(User(id=i, name=f"user {i}", age=20 + i % 5, posts=[Post(id=1, title="first"), Post(id=2, title="second")]))
            session.commit()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:  # all shards have the table
        conn.execute(Region.__table__.insert(), {"code": "de", "name": "Germany"})
    with Session(engine) as session:
        audit = Audit(note="made")
        session.add(audit)
        session.commit()
        assert audit.id == 1
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(User.__table__.insert().values([{"id": i, "name": "many", "age": 1} for i in range(31, 36)]))
    with Session(engine) as session:
        session.add(User(id=1, name="again"))
        try:
            session.commit()
            raise AssertionError("a duplicate was accepted")
        except exc.IntegrityError:
            pass


def read(engine):
    with Session(engine) as session:
        assert session.get(User, 7).name == "user 7"
        assert session.get(User, 999) is None
        assert session.scalar(select(func.count()).select_from(User).where(User.age > 21)) == 12
        users = session.scalars(select(User).where(User.age > 1).options(selectinload(User.posts)).order_by(User.id).limit(5)).all()
        assert [len(user.posts) for user in users] == [2] * 5
        users = session.scalars(select(User).where(User.age > 1).options(joinedload(User.posts)).order_by(User.name)).unique().all()
        assert len(users) == 20 and users[0].name == "user 1" and users[1].name == "user 10"
        titles = session.execute(select(User.name, Post.title).join(Post.user).where(User.id == 7).order_by(Post.id)).all()
        assert titles == [("user 7", "first"), ("user 7", "second")]
        groups = session.execute(select(User.age, func.count()).group_by(User.age).having(func.count() > 1).order_by(User.age)).all()
        assert groups == [(1, 5), (20, 4), (21, 4), (22, 4), (23, 4), (24, 4)], groups
        exists = select(User.id).where(User.posts.any(Post.title == "second")).order_by(User.id)
        assert len(session.scalars(exists).all()) == 20


def write(engine):
    with Session(engine) as session:
        session.get(User, 3).name = "three"
        session.commit()
        assert session.get(User, 3).name == "three"
        session.delete(session.get(Post, (20, 2)))
        session.commit()
        assert session.scalar(select(func.count()).select_from(Post)) == 39
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        assert conn.execute(update(User).where(User.age == 1).values(age=2)).rowcount == 5


def keys(engine):
    made = []
    for name in "abc":
        with Session(engine) as session:
            member = Member(name=name)
            session.add(member)
            session.commit()
            made.append((member.id, member.name))
    with Session(engine) as session:
        assert session.execute(select(Member.id, Member.name).order_by(Member.name)).all() == made, made
        assert all(id > 2**40 for id, _ in made)


def transactions(engine):
    with Session(engine) as session:
        session.get(User, 6).age = 66
        session.flush()
        try:
            with session.begin_nested():
                session.add(Post(user_id=6, id=1, title="again"))
        except exc.IntegrityError:
            pass
        session.add(Post(user_id=6, id=10, title="kept"))
        session.commit()
    with Session(engine) as session:
        session.query(Post).filter(Post.user_id == 6).delete()
        session.rollback()
        assert [post.title for post in session.get(User, 6).posts] == ["first", "second", "kept"]
        assert session.get(User, 6).age == 66


engine = create_engine("postgresql+psycopg2://", future=True)
for part in (schema, create, read, write, keys, transactions):
    part(engine)
engine.dispose()
print("sqlalchemy: all parts passed")
