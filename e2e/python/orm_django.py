"""Django through pgring: the Go test beside this folder runs it and reads the exit code. PGHOST and so on say where."""

import os

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"],
                           "NAME": os.environ["PGDATABASE"], "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"]}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import Group, User as Account  # noqa: E402  settings come first
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402


class User(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.CharField(max_length=50)
    age = models.IntegerField(null=True)

    class Meta:
        app_label = "shop"
        db_table = "users"


class Article(models.Model):
    id = models.BigIntegerField(primary_key=True)
    author = models.ForeignKey(User, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+")
    title = models.TextField()

    class Meta:
        app_label = "shop"
        db_table = "articles"


class Region(models.Model):
    code = models.CharField(max_length=2, primary_key=True)
    name = models.TextField()

    class Meta:
        app_label = "shop"
        db_table = "regions"


class Member(models.Model):
    """Its key is Django's own."""
    name = models.TextField()

    class Meta:
        app_label = "shop"
        db_table = "members"


class Audit(models.Model):
    note = models.TextField()
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "shop"
        db_table = "audits"


def schema():
    call_command("migrate", verbosity=0)  # Django's own tables are at home
    for model in (User, Article, Region, Audit, Member):  # each in a block of its own: DDL on several shards is not for transactions
        with connection.schema_editor(atomic=False) as editor:
            editor.create_model(model)
    tables = connection.introspection.table_names()
    assert {"users", "articles", "auth_user"} <= set(tables), tables


def create():
    for i in range(1, 21):
        user = User.objects.create(id=i, name=f"user {i}", age=20 + i % 5)
        Article.objects.create(id=100 + i, author=user, title="first")
    for i in range(31, 36):  # bulk_create is a transaction block, where several shards are refused
        User.objects.create(id=i, name="many", age=1)
    for code, name in (("de", "Germany"), ("fr", "France")):
        Region.objects.create(code=code, name=name)
    assert Audit.objects.create(note="made").pk == 1
    try:
        User.objects.create(id=1, name="again")
        raise AssertionError("a duplicate was accepted")
    except IntegrityError:
        pass


def read():
    assert User.objects.get(pk=7).name == "user 7"
    assert not User.objects.filter(pk=999).exists()
    assert User.objects.filter(age__gt=21).count() == 12
    assert [user.pk for user in User.objects.filter(pk__in=[1, 2, 3]).order_by("-name")] == [3, 2, 1]
    assert list(User.objects.order_by("name").values_list("name", flat=True)[5:7]) == ["user 1", "user 10"]
    assert [article.author.name for article in Article.objects.select_related("author").order_by("id")[:3]] == ["user 1", "user 2", "user 3"]
    assert [article.author.name for article in Article.objects.prefetch_related("author").order_by("-id")[:2]] == ["user 20", "user 19"]
    groups = User.objects.values("age").annotate(n=models.Count("id")).filter(n__gt=1).order_by("age")
    assert [(group["age"], group["n"]) for group in groups] == [(1, 5), (20, 4), (21, 4), (22, 4), (23, 4), (24, 4)]
    assert User.objects.filter(age__gt=1).aggregate(models.Avg("age"), models.Max("name")) == {"age__avg": 22.0, "name__max": "user 9"}
    assert Article.objects.filter(author__age__gt=21).count() == 12
    assert User.objects.filter(pk__in=Article.objects.filter(title="first").values("author_id")).count() == 20


def write():
    user = User.objects.get(pk=3)
    user.name = "three"
    user.save()
    assert User.objects.get(pk=3).name == "three"
    assert User.objects.filter(age=1).update(age=2) == 5
    assert User.objects.filter(pk=4).update(age=models.F("age") + 20) == 1
    made, created = User.objects.update_or_create(pk=40, defaults={"name": "forty"})
    assert created and made.name == "forty"
    for pk in (118, 119, 120):  # delete() of several is a transaction block
        assert Article.objects.filter(pk=pk).delete()[0] == 1
    assert Article.objects.count() == 17


def keys():
    made = [Member.objects.create(name=name) for name in "abc"]
    assert list(Member.objects.order_by("name").values_list("pk", "name")) == [(member.pk, member.name) for member in made]
    assert all(member.pk > 2**40 for member in made)
    made[0].delete()
    assert Member.objects.count() == 2


def transactions():
    with transaction.atomic():
        User.objects.filter(pk=6).update(age=66)
        try:
            with transaction.atomic():
                User.objects.create(pk=6, name="again")
        except IntegrityError:
            pass
        User.objects.filter(pk=6).update(name="six")
    try:
        with transaction.atomic():
            User.objects.filter(pk=6).delete()
            raise RuntimeError("undo")
    except RuntimeError:
        pass
    user = User.objects.get(pk=6)
    assert (user.age, user.name) == (66, "six")


def home():
    """Django's own models, whose tables are all at home, with serial keys and many-to-many relations."""
    account = Account.objects.create_user("ada", password="secret")
    account.groups.add(Group.objects.create(name="staff"), Group.objects.create(name="readers"))
    assert [group.name for group in account.groups.order_by("name")] == ["readers", "staff"]
    assert Account.objects.filter(groups__name="staff").get().check_password("secret")


for part in (schema, create, read, write, keys, transactions, home):
    part()
connection.close()
print("django: all parts passed")
