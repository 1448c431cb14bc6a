package e2e

import (
	"errors"
	"testing"

	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
	"gorm.io/gorm/logger"
)

type gormUser struct {
	ID    int64 `gorm:"primaryKey;autoIncrement:false"`
	Name  string
	Age   int
	Posts []gormPost `gorm:"foreignKey:UserID"`
}

func (gormUser) TableName() string { return "users" }

type gormPost struct {
	UserID int64 `gorm:"primaryKey;autoIncrement:false"`
	ID     int64 `gorm:"primaryKey;autoIncrement:false"`
	Title  string
	Region string
}

func (gormPost) TableName() string { return "posts" }

type gormRegion struct {
	Code string `gorm:"primaryKey"`
	Name string
}

func (gormRegion) TableName() string { return "regions" }

// gormAudit is at home, where serial keys work.
type gormAudit struct {
	ID   int64
	Note string
}

func (gormAudit) TableName() string { return "audits" }

// gormMember is sharded, with GORM's own key.
type gormMember struct {
	ID   uint
	Name string
}

func (gormMember) TableName() string { return "members" }

func TestGORM(t *testing.T) {
	t.Parallel()
	c := start(t, ormLayout())
	// Each write would be in a transaction block of its own, where several shards are refused.
	db, err := gorm.Open(postgres.Open(c.dsn(appLogin)), &gorm.Config{Logger: logger.Discard, SkipDefaultTransaction: true})
	must(t, err)
	for range 2 { // the second time finds everything there
		must(t, db.AutoMigrate(&gormRegion{}, &gormUser{}, &gormPost{}, &gormAudit{}, &gormMember{}))
	}
	t.Run("create", func(t *testing.T) { gormCreate(t, db) })
	t.Run("read", func(t *testing.T) { gormRead(t, db) })
	t.Run("write", func(t *testing.T) { gormWrite(t, db) })
	t.Run("keys", func(t *testing.T) { gormKeys(t, db) })
	t.Run("transactions", func(t *testing.T) { gormTransactions(t, db) })
}

func gormCreate(t *testing.T, db *gorm.DB) {
	for id := int64(1); id <= 20; id++ {
		must(t, db.Create(&gormUser{ID: id, Name: "user", Age: 20 + int(id%5)}).Error)
		posts := []gormPost{{id, 1, "first", "de"}, {id, 2, "second", "fr"}}
		must(t, db.Create(&posts).Error) // several rows of one user
	}
	must(t, db.Create(&gormUser{ID: 21, Name: "with posts", Posts: []gormPost{{ID: 1, Title: "of 21", Region: "de"}}}).Error)
	must(t, db.Create(&[]gormRegion{{"de", "Germany"}, {"fr", "France"}}).Error)
	batch := []gormUser{{ID: 31, Name: "batch"}, {ID: 32, Name: "batch"}, {ID: 33, Name: "batch"}, {ID: 34, Name: "batch"}}
	must(t, db.Create(&batch).Error) // rows of several shards
	audit := gormAudit{Note: "made"}
	must(t, db.Create(&audit).Error)
	if audit.ID != 1 {
		t.Errorf("the serial key is %d", audit.ID)
	}
	if err := db.Create(&gormUser{ID: 1}).Error; err == nil {
		t.Error("a duplicate was accepted")
	}
}

func gormRead(t *testing.T, db *gorm.DB) {
	var user gormUser
	must(t, db.First(&user, 7).Error)
	if user.ID != 7 || user.Age != 22 {
		t.Errorf("user 7 is %+v", user)
	}
	if err := db.First(&gormUser{}, 999).Error; !errors.Is(err, gorm.ErrRecordNotFound) {
		t.Errorf("a user who is not there: %v", err)
	}
	var count int64
	must(t, db.Model(&gormUser{}).Where("age > ?", 21).Count(&count).Error)
	if count != 12 {
		t.Errorf("%d users are older than 21", count)
	}
	var users []gormUser
	must(t, db.Preload("Posts", func(db *gorm.DB) *gorm.DB { return db.Order("posts.id") }).Where("name = ?", "user").Order("id").Limit(5).Find(&users).Error)
	if len(users) != 5 || len(users[4].Posts) != 2 || users[4].Posts[1].Title != "second" {
		t.Errorf("users with posts are %+v", users)
	}
	var titles []string
	must(t, db.Model(&gormPost{}).Joins("JOIN users ON users.id = posts.user_id").Where("users.age = ? AND posts.id = 1", 20).Order("posts.user_id").Pluck("title", &titles).Error)
	if len(titles) != 4 {
		t.Errorf("titles by a join are %q", titles)
	}
	var rows []struct {
		Region string
		N      int64
	}
	must(t, db.Model(&gormPost{}).Select("regions.name AS region, count(*) AS n").Joins("JOIN regions ON regions.code = posts.region").
		Group("regions.name").Order("regions.name").Scan(&rows).Error)
	if len(rows) != 2 || rows[0].Region != "France" || rows[0].N != 20 || rows[1].N != 21 {
		t.Errorf("posts by region are %+v", rows)
	}
	seen := 0
	must(t, db.FindInBatches(&users, 7, func(*gorm.DB, int) error { seen += len(users); return nil }).Error)
	if seen != 25 {
		t.Errorf("%d users in batches", seen)
	}
}

func gormWrite(t *testing.T, db *gorm.DB) {
	must(t, db.Model(&gormUser{ID: 3}).Update("name", "three").Error)
	must(t, db.Save(&gormUser{ID: 4, Name: "four", Age: 44}).Error)
	must(t, db.Clauses(clause.OnConflict{Columns: []clause.Column{{Name: "id"}}, DoUpdates: clause.AssignmentColumns([]string{"name"})}).
		Create(&gormUser{ID: 5, Name: "five"}).Error)
	if done := db.Model(&gormUser{}).Where("age = ?", 21).Update("age", 61); done.Error != nil || done.RowsAffected != 4 {
		t.Errorf("an update of all shards: %d rows, %v", done.RowsAffected, done.Error)
	}
	if done := db.Where("name = ?", "batch").Delete(&gormUser{}); done.Error != nil || done.RowsAffected != 4 {
		t.Errorf("a delete on all shards: %d rows, %v", done.RowsAffected, done.Error)
	}
	must(t, db.Delete(&gormPost{UserID: 20, ID: 2}).Error)
	var user gormUser
	must(t, db.FirstOrCreate(&user, gormUser{ID: 40, Name: "forty"}).Error)
	var names []string
	must(t, db.Model(&gormUser{}).Where("id IN ?", []int64{3, 4, 5, 40}).Order("id").Pluck("name", &names).Error)
	if len(names) != 4 || names[0] != "three" || names[1] != "four" || names[2] != "five" || names[3] != "forty" {
		t.Errorf("names are %q", names)
	}
}

func gormKeys(t *testing.T, db *gorm.DB) {
	one, many := gormMember{Name: "one"}, []gormMember{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}
	must(t, db.Create(&one).Error)
	must(t, db.Create(&many).Error) // rows of several shards
	for _, m := range append(many, one) {
		var found gormMember
		must(t, db.First(&found, m.ID).Error)
		if m.ID < 1<<40 || found != m {
			t.Errorf("member %+v is %+v", m, found)
		}
	}
}

func gormTransactions(t *testing.T, db *gorm.DB) {
	must(t, db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Model(&gormUser{ID: 6}).Update("age", 66).Error; err != nil {
			return err
		}
		if err := tx.Transaction(func(tx *gorm.DB) error { // a savepoint
			if err := tx.Create(&gormPost{UserID: 6, ID: 3, Title: "undone"}).Error; err != nil {
				return err
			}
			return errors.New("undo")
		}); err == nil {
			return errors.New("the inner transaction ended well")
		}
		return tx.Create(&gormPost{UserID: 6, ID: 4, Title: "kept"}).Error
	}))
	undo := errors.New("undo")
	if err := db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Delete(&gormPost{}, "user_id = ?", 6).Error; err != nil {
			return err
		}
		return undo
	}); !errors.Is(err, undo) {
		t.Errorf("the transaction ends with %v", err)
	}
	var titles []string
	must(t, db.Model(&gormPost{}).Where("user_id = ?", 6).Order("id").Pluck("title", &titles).Error)
	if len(titles) != 3 || titles[2] != "kept" {
		t.Errorf("titles are %q", titles)
	}
}
