package saga

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/pgring/pgring/ring"
)

// maxGID is the longest name of a prepared transaction in bytes (GIDSIZE in PostgreSQL's xact.h is 200, its NUL included).
const maxGID = 199

// gid is the name of one shard's part of a transaction. In PostgreSQL it reads pgring_<cluster>_<transaction>_<step>_<home>;
// the shard's name is last because it is the one part that may contain an underscore.
type gid struct {
	cluster     string // a uuid
	transaction string
	step        int // from 1; home is step 0 and is never prepared
	home        ring.ShardID
}

func gidPrefix(cluster string) string { return "pgring_" + cluster + "_" }

func (g gid) String() string {
	return gidPrefix(g.cluster) + g.transaction + "_" + strconv.Itoa(g.step) + "_" + string(g.home)
}

// parseGID is the inverse of String; it reports false for names that pgring did not make.
func parseGID(text string) (gid, bool) {
	parts := strings.SplitN(text, "_", 5)
	if len(parts) != 5 || parts[0] != "pgring" || parts[1] == "" || parts[2] == "" || parts[4] == "" {
		return gid{}, false
	}
	step, err := strconv.Atoi(parts[3])
	if err != nil || step < 1 || strconv.Itoa(step) != parts[3] {
		return gid{}, false
	}
	return gid{cluster: parts[1], transaction: parts[2], step: step, home: ring.ShardID(parts[4])}, true
}

// identity names a transaction. Everybody on a shard can read the names of prepared transactions, so the name alone must not
// be enough to write the decision: that takes the secret, of which the name is a hash (see pgring.decide).
type identity struct {
	name   string
	secret string
}

func newIdentity() identity {
	secret := rand.Text()
	sum := sha256.Sum256([]byte(secret))
	return identity{name: hex.EncodeToString(sum[:16]), secret: secret}
}

// quote makes an SQL string constant that means the same whatever standard_conforming_strings is.
func quote(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}
