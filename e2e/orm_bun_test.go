package e2e

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"
)

type bunUser struct {
	bun.BaseModel `bun:"table:users"`
	ID            int64 `bun:",pk"`
	Name          string
	Age           int
	Posts         []*bunPost `bun:"rel:has-many,join:id=user_id"`
}

type bunPost struct {
	bun.BaseModel `bun:"table:posts"`
	UserID        int64 `bun:",pk"`
	ID            int64 `bun:",pk"`
	Title         string
	User          *bunUser `bun:"rel:belongs-to,join:user_id=id"`
}

type bunRegion struct {
	bun.BaseModel `bun:"table:regions"`
	Code          string `bun:",pk"`
	Name          string
}

type bunAudit struct {
	bun.BaseModel `bun:"table:audits"`
	ID            int64 `bun:",pk,autoincrement"`
	Note          string
}

// TestBun uses the extended protocol of pgx; bun itself writes values into the text.
func TestBun(t *testing.T) {
	t.Parallel()
	c := start(t, ormLayout())
	config, err := pgx.ParseConfig(c.dsn(appLogin))
	must(t, err)
	pool := stdlib.OpenDB(*config)
	t.Cleanup(func() { pool.Close() })
	db := bun.NewDB(pool, pgdialect.New())
	for _, model := range []any{(*bunUser)(nil), (*bunPost)(nil), (*bunRegion)(nil), (*bunAudit)(nil)} {
		for range 2 {
			_, err := db.NewCreateTable().Model(model).IfNotExists().Exec(t.Context())
			must(t, err)
		}
	}
	t.Run("create", func(t *testing.T) { bunCreate(t, db) })
	t.Run("read", func(t *testing.T) { bunRead(t, db) })
	t.Run("write", func(t *testing.T) { bunWrite(t, db) })
	t.Run("transactions", func(t *testing.T) { bunTransactions(t, db) })
}

func bunCreate(t *testing.T, db *bun.DB) {
	var users []*bunUser
	var posts []*bunPost
	for id := int64(1); id <= 20; id++ {
		users = append(users, &bunUser{ID: id, Name: "user", Age: 20 + int(id%5)})
		posts = append(posts, &bunPost{UserID: id, ID: 1, Title: "first"}, &bunPost{UserID: id, ID: 2, Title: "second"})
	}
	for _, model := range []any{&users, &posts, &[]*bunRegion{{Code: "de", Name: "Germany"}, {Code: "fr", Name: "France"}}} {
		_, err := db.NewInsert().Model(model).Exec(t.Context())
		must(t, err)
	}
	audit := &bunAudit{Note: "made"}
	_, err := db.NewInsert().Model(audit).Exec(t.Context())
	must(t, err)
	if audit.ID != 1 {
		t.Errorf("the serial key is %d", audit.ID)
	}
	if _, err := db.NewInsert().Model(&bunUser{ID: 1}).Exec(t.Context()); err == nil {
		t.Error("a duplicate was accepted")
	}
}

func bunRead(t *testing.T, db *bun.DB) {
	user := &bunUser{ID: 7}
	must(t, db.NewSelect().Model(user).WherePK().Relation("Posts").Scan(t.Context()))
	if user.Age != 22 || len(user.Posts) != 2 {
		t.Errorf("user 7 is %+v", user)
	}
	if err := db.NewSelect().Model(&bunUser{}).Where("id = ?", 999).Scan(t.Context()); !errors.Is(err, sql.ErrNoRows) {
		t.Errorf("a user who is not there: %v", err)
	}
	var posts []*bunPost
	must(t, db.NewSelect().Model(&posts).Relation("User").Where("?TableAlias.id = 1").OrderExpr("user_id DESC").Limit(3).Scan(t.Context()))
	if len(posts) != 3 || posts[0].UserID != 20 || posts[0].User.ID != 20 {
		t.Errorf("posts with their users are %+v", posts)
	}
	var users []*bunUser
	count, err := db.NewSelect().Model(&users).Where("age > ?", 21).Order("name", "id").Limit(4).ScanAndCount(t.Context())
	must(t, err)
	if count != 12 || len(users) != 4 || users[0].ID != 2 {
		t.Errorf("%d users are older than 21, the first are %+v", count, users)
	}
	var groups []struct {
		Age int
		N   int
	}
	must(t, db.NewSelect().Model((*bunUser)(nil)).Column("age").ColumnExpr("count(*) AS n").Group("age").Having("count(*) > 1").Order("age").Scan(t.Context(), &groups))
	if len(groups) != 5 || groups[0].N != 4 {
		t.Errorf("ages are %+v", groups)
	}
}

func bunWrite(t *testing.T, db *bun.DB) {
	_, err := db.NewUpdate().Model(&bunUser{ID: 3, Name: "three"}).Column("name").WherePK().Exec(t.Context())
	must(t, err)
	_, err = db.NewInsert().Model(&[]*bunUser{{ID: 4, Name: "four"}, {ID: 5, Name: "five"}, {ID: 50, Name: "fifty"}}).
		On("CONFLICT (id) DO UPDATE").Set("name = EXCLUDED.name").Exec(t.Context())
	must(t, err)
	done, err := db.NewUpdate().Model((*bunUser)(nil)).Set("age = age + 40").Where("age = 21").Exec(t.Context())
	must(t, err)
	if n, _ := done.RowsAffected(); n != 4 {
		t.Errorf("an update of all shards changes %d rows", n)
	}
	_, err = db.NewDelete().Model((*bunPost)(nil)).Where("id = 2 AND user_id IN (?)", bun.In([]int64{18, 19, 20})).Exec(t.Context())
	must(t, err)
	var names []string
	must(t, db.NewSelect().Model((*bunUser)(nil)).Column("name").Where("id IN (?)", bun.In([]int64{3, 4, 5, 50})).Order("id").Scan(t.Context(), &names))
	if len(names) != 4 || names[0] != "three" || names[3] != "fifty" {
		t.Errorf("names are %q", names)
	}
	n, err := db.NewSelect().Model((*bunPost)(nil)).Count(t.Context())
	must(t, err)
	if n != 37 {
		t.Errorf("%d posts are left", n)
	}
}

func bunTransactions(t *testing.T, db *bun.DB) {
	undo := errors.New("undo")
	for _, outcome := range []error{nil, undo} {
		err := db.RunInTx(t.Context(), nil, func(ctx context.Context, tx bun.Tx) error {
			if _, err := tx.NewInsert().Model(&bunPost{UserID: 6, ID: 10, Title: "in a transaction"}).On("CONFLICT DO NOTHING").Exec(ctx); err != nil {
				return err
			}
			if _, err := tx.NewUpdate().Model((*bunUser)(nil)).Set("age = age + 1").Where("id = 6").Exec(ctx); err != nil {
				return err
			}
			return outcome
		})
		if !errors.Is(err, outcome) {
			t.Errorf("the transaction ends with %v, want %v", err, outcome)
		}
	}
	user := &bunUser{ID: 6}
	must(t, db.NewSelect().Model(user).WherePK().Scan(t.Context()))
	if user.Age != 62 {
		t.Errorf("the age is %d", user.Age)
	}
}
